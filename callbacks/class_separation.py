"""Separation of classes in the representations of images (appendix I of the paper)."""

from typing import Any

import lightning.pytorch as pl
import torch

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import draw, require_scores
from grokking_pl.errors import UserError
from grokking_pl.metrics import class_effective_loss, class_means
from grokking_pl.spacing import evenly_spaced


class ClassSeparation(Measurement):
    """Logs the effective loss over same-label pairs, for the representation read by the network's decoder.

    The columns are ``train_class_loss`` and ``val_class_loss``: 0 if each class is a single point, about 2 if the
    classes are not separated. At the end ``class_means.png`` shows the paths of the training samples' class means.
    Cost of a measurement: one forward pass of the samples.

    Args:
        every_n_steps: steps between measurements.
        samples: number of samples of each set, evenly spaced; null for all.

    Raises:
        UserError: a number is not positive, the module has no ``score``, or the network has no ``encode`` for the
            representation, as `MLP` has.
    """

    def __init__(self, every_n_steps: int = 100, samples: int | None = 1000) -> None:
        super().__init__(every_n_steps)
        if samples is not None and samples < 1:
            raise UserError(f"ClassSeparation: samples is {samples}; it must be at least 1")
        self.samples = samples
        self.state["means"] = {}  # by step, for the training samples

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that the network encodes inputs."""
        require_scores(trainer, "ClassSeparation")
        module: Any = pl_module
        if not callable(getattr(module.network, "encode", None)):
            raise UserError(
                f"ClassSeparation needs a network whose method encode returns the representation of inputs, but "
                f"{type(module.network).__name__} has none: choose MLP"
            )

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the samples."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._sets = {}
        for name, (inputs, targets) in (("train", data.train_set), ("val", data.val_set)):
            if len(inputs):
                chosen = evenly_spaced(len(inputs), len(inputs) if self.samples is None else self.samples)
                self._sets[name] = inputs[chosen], targets[chosen]

    @torch.no_grad()
    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current effective loss of both sets."""
        plugin: Any = trainer.precision_plugin
        values = {}
        was_training = pl_module.network.training
        pl_module.network.eval()
        for name, batch in self._sets.items():
            inputs, targets = plugin.convert_input(batch)
            with plugin.forward_context():
                representations = pl_module.network.encode(inputs).flatten(1).float()
            classes = pl_module.true_class(targets)
            values[f"{name}_class_loss"] = float(class_effective_loss(representations, classes))
            if name == "train":
                number = pl_module.sizes.outputs if pl_module.class_targets is None else len(pl_module.class_targets)
                means = class_means(representations, classes, number).cpu()
                kept = (means, values["train_class_loss"])
                self.state["means"] = {**self.state["means"], trainer.global_step: kept}
        pl_module.network.train(was_training)
        return values

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the paths of the class means."""
        if self.state["means"]:
            draw(trainer, "class_means.png", self._draw)

    def _draw(self) -> Any:
        from grokking_pl.plots.class_means import class_means_figure  # matplotlib is slow to import

        steps = sorted(self.state["means"])
        means, losses = zip(*(self.state["means"][step] for step in steps), strict=True)
        return class_means_figure(steps, torch.stack(means).numpy(), losses, [str(k) for k in range(len(means[0]))])
