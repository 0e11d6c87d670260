"""Lazy or rich training, by the change of the tangent kernel."""

from typing import Any

import lightning.pytorch as pl
from jaxtyping import Float
from torch import Tensor

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.errors import UserError
from grokking_pl.metrics import kernel_change, tangent_kernel
from grokking_pl.spacing import evenly_spaced
from grokking_pl.training.other_weights import Uncompiled


class KernelChange(Measurement):
    """Logs ``kernel_change``: 1 - <K, K0> / (|K| |K0|) of the tangent kernel K on some training samples.

    It stays near 0 in lazy training, and approaches 1 as features are learned. A measurement costs one backward pass of
    the samples per output.

    Args:
        every_n_steps: steps between measurements.
        samples: number of training samples, evenly spaced.
        outputs: number of outputs, evenly spaced; null for all.

    Raises:
        UserError: a number is not positive, the data have no training set, a sample has several answers, or a
            checkpoint does not contain the initial kernel.
    """

    def __init__(self, every_n_steps: int = 1000, samples: int = 32, outputs: int | None = 16) -> None:
        super().__init__(every_n_steps)
        for name, number in (("samples", samples), ("outputs", outputs)):
            if number is not None and number < 1:
                raise UserError(f"KernelChange: {name} is {number}; it must be at least 1")
        self.samples = samples
        self.outputs = outputs

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the network and the data."""
        data, module = trainer.datamodule, pl_module  # type: ignore[attr-defined]
        if not hasattr(data, "train_set") or not hasattr(module, "network"):
            raise UserError("KernelChange needs a datamodule with train_set, and a module with a network")
        if getattr(data.sizes, "answers", 0):
            raise UserError("KernelChange needs one output vector per sample, but equations have one per token")

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the samples, and keep the initial kernel."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        inputs = data.train_set[0]
        self._inputs = inputs[evenly_spaced(len(inputs), self.samples)]
        total = data.sizes.outputs
        self._outputs = evenly_spaced(total, total if self.outputs is None else self.outputs)
        if "initial" not in self.state:
            if trainer.global_step:
                raise UserError("KernelChange has no initial kernel to compare with: start at step 0")
            self.state["initial"] = self._kernel(trainer, pl_module)

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current change."""
        return {"kernel_change": float(kernel_change(self._kernel(trainer, pl_module), self.state["initial"]))}

    def _kernel(self, trainer: pl.Trainer, module: Any) -> Float[Tensor, "n n"]:
        plugin: Any = trainer.precision_plugin
        was_training = module.network.training
        module.network.eval()
        try:
            return tangent_kernel(Uncompiled(module.network), plugin.convert_input(self._inputs), self._outputs)
        finally:
            module.network.train(was_training)
