"""Accuracies with the embeddings truncated to principal components (section 4.2 of the paper, appendix K)."""

from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import draw, require_representation, require_scores
from grokking_pl.callbacks.sample_shares import add_over_processes, sample_shares
from grokking_pl.errors import UserError
from grokking_pl.metrics.truncation import most_components
from grokking_pl.training.truncated_accuracy import truncated_correct

CHOSEN = 12
"""Most numbers of components to choose."""


class TruncatedAccuracy(Measurement):
    """Logs both accuracies with the embeddings projected on their first k principal components.

    The embeddings' mean is kept, and the trained network is unchanged. The columns are ``train_accuracy_K_components``
    and ``val_accuracy_K_components``, with the number for K. At the end ``truncated_accuracy.png`` shows the accuracies
    by k, and the validation accuracies over steps. Cost of a measurement: one forward pass of all samples for each k.

    Args:
        every_n_steps: steps between measurements.
        components: numbers k; null for at most twelve from 1 to all, evenly spaced on a logarithmic axis.

    Raises:
        UserError: a number is out of range, the network has no embeddings, or the module has no ``score``.
    """

    def __init__(self, every_n_steps: int = 100, components: list[int] | None = None) -> None:
        super().__init__(every_n_steps)
        if components is not None and (not components or min(components) < 1):
            raise UserError(f"TruncatedAccuracy: components is {components}; give numbers of at least 1, or null")
        self.components = components
        self.state["curves"] = {}  # training and validation accuracy for every k, by step

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are embeddings of at least that dimension."""
        require_representation(pl_module, "TruncatedAccuracy")
        require_scores(trainer, "TruncatedAccuracy")
        module: Any = pl_module
        embeddings = module.representation.embeddings
        dimension = embeddings.shape[1]
        if self.components and max(self.components) > dimension:
            raise UserError(
                f"TruncatedAccuracy: components is {self.components}, but the embeddings have dimension {dimension}"
            )

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the numbers of components."""
        module: Any = pl_module
        embeddings = module.representation.embeddings
        chosen = np.geomspace(1, most_components(embeddings), CHOSEN).round().astype(int).tolist()
        self._numbers: list[int] = sorted(set(self.components or chosen))
        self._shares = sample_shares(trainer)

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """Both accuracies for every number of components."""
        plugin: Any = trainer.precision_plugin
        parts = []
        with plugin.forward_context():
            for batch, train in self._shares:
                correct = truncated_correct(pl_module, plugin.convert_input(batch), self._numbers).float()
                parts.append(torch.stack((correct[:, :train].sum(1), correct[:, train:].sum(1)), 1))
        data = trainer.datamodule  # type: ignore[attr-defined]
        sizes = torch.tensor([max(1, data.num_train), max(1, len(data.inputs) - data.num_train)])
        accuracies = add_over_processes(trainer, torch.stack(parts).sum(0)).cpu().double() / sizes
        self.state["curves"] = {**self.state["curves"], trainer.global_step: accuracies}
        rows = zip(self._numbers, accuracies.tolist(), strict=True)
        return {
            f"{name}_accuracy_{k}_components": accuracy
            for k, row in rows
            for name, accuracy in zip(("train", "val"), row, strict=True)
        }

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the accuracies at the end and over training."""
        if self.values:
            draw(trainer, "truncated_accuracy.png", self._draw)

    def summary(self) -> dict[str, Any]:
        """The final accuracies by number of components."""
        if not self.values:
            return {}
        *_, final = self.state["curves"].values()
        train, val = final.T.tolist()
        return {"truncated_accuracy": {"components": self._numbers, "train": train, "val": val}}

    def _draw(self) -> Any:
        from grokking_pl.plots.truncated_accuracy import truncated_accuracy  # matplotlib is slow to import

        steps = sorted(self.state["curves"])
        curves = torch.stack([self.state["curves"][step] for step in steps]).numpy()
        return truncated_accuracy(steps, self._numbers, curves[:, :, 0], curves[:, :, 1])
