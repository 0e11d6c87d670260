"""Sharpness of the training loss."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import require_scores
from grokking_pl.errors import UserError
from grokking_pl.metrics import sharpness
from grokking_pl.spacing import evenly_spaced


class Sharpness(Measurement):
    """Logs ``sharpness``: the largest eigenvalue of the Hessian of the training loss, by the Lanczos method.

    Gradient descent with learning rate lr is stable up to 2 / lr (Cohen et al., 2021, arXiv 2103.00065). The loss
    includes the network's penalty but not weight decay. An iteration costs about two backward passes.

    Args:
        every_n_steps: steps between measurements.
        samples: number of training samples, evenly spaced; null for all.
        iterations: maximum number of Lanczos iterations.

    Raises:
        UserError: a number is not positive, the module has no ``score``, or the loss is not finite.
    """

    def __init__(self, every_n_steps: int = 1000, samples: int | None = 512, iterations: int = 40) -> None:
        super().__init__(every_n_steps)
        for name, number in (("samples", samples), ("iterations", iterations)):
            if number is not None and number < 1:
                raise UserError(f"Sharpness: {name} is {number}; it must be at least 1")
        self.samples = samples
        self.iterations = iterations

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the module and the data."""
        require_scores(trainer, "Sharpness")

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the samples."""
        inputs, targets = trainer.datamodule.train_set  # type: ignore[attr-defined]
        chosen = evenly_spaced(len(inputs), len(inputs) if self.samples is None else self.samples)
        self._inputs, self._targets = inputs[chosen], targets[chosen]

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current eigenvalue."""
        network, plugin = pl_module.network, trainer.precision_plugin
        inputs, targets = plugin.convert_input((self._inputs, self._targets))
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        penalty = getattr(network, "penalty", None)

        def loss() -> Tensor:
            value: Tensor = pl_module.compute_loss(pl_module.scaled(network.forward(inputs)), targets)
            return value if penalty is None else value + penalty()

        was_training = network.training
        network.eval()
        try:
            with sdpa_kernel(SDPBackend.MATH):  # other backends cannot be differentiated twice
                return {"sharpness": sharpness(loss, weights, self.iterations)}
        finally:
            network.train(was_training)
