"""Decision map of the decoder for two-dimensional embeddings (figure 2 of the paper)."""

from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from grokking_pl.callbacks.reporting import (
    Reporting,
    draw,
    keep_arrays,
    require_table,
    symbol_names,
    writes_files,
)
from grokking_pl.errors import UserError
from grokking_pl.training.decision_map import check_plane, decision_map


class DecisionMap(pl.Callback, Reporting):
    """Draws the final decoder's class at each point of its input plane: ``decision_map.png``.

    Symbols are drawn where they are combined with themselves, pairs midway between theirs. The title has the final
    accuracies. ``decision_map.npz`` holds the numbers: ``x``, ``y`` and ``classes`` of the grid; ``symbols`` and their
    ``names``; and for every pair ``pairs`` (its position), ``train`` (whether it is a training pair) and ``correct``.

    Args:
        points: grid points per direction.
        published: training and validation accuracy of a published run, for comparison in the title.

    Raises:
        UserError: a parameter is out of range, the data have no operation table, or the network has no decoder of sums
            of two-dimensional embeddings.
    """

    def __init__(self, points: int = 300, published: tuple[float, float] | None = None) -> None:
        super().__init__()
        if not 2 <= points <= 5000:
            raise UserError(f"DecisionMap: points is {points}; it must be from 2 to 5000")
        if published is not None and not all(0 <= accuracy <= 1 for accuracy in published):
            raise UserError(f"DecisionMap: published is {list(published)}; give two accuracies from 0 to 1, or null")
        self.points = points
        self.published = published
        self._arrays: dict[str, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there is a plane to draw."""
        require_table(trainer, "DecisionMap")
        module: Any = pl_module
        try:
            check_plane(module)
        except UserError as error:
            raise UserError(f"DecisionMap: {error}") from None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Evaluate the decoder on the grid."""
        if not writes_files(trainer):
            return
        module: Any = pl_module
        data = trainer.datamodule  # type: ignore[attr-defined]
        with trainer.precision_plugin.forward_context():
            decisions = decision_map(module, self.points)
        _, correct = module.evaluate((data.inputs, data.targets))
        self._arrays = {
            **vars(decisions),
            "names": np.array(symbol_names(trainer, len(decisions.symbols))),
            "pairs": decisions.symbols[data.inputs.cpu().numpy()].mean(1),
            "train": (torch.arange(len(data.inputs)) < data.num_train).numpy(),
            "correct": correct.cpu().numpy(),
        }

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the numbers and draw the map.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        if not self._arrays:
            return
        keep_arrays(trainer, "decision_map.npz", **self._arrays)

        def make() -> Any:
            from grokking_pl.plots.decision_map import decision_map  # matplotlib is slow to import

            return decision_map(self._arrays, trainer.global_step, self.published)

        draw(trainer, "decision_map.png", make)

    def summary(self) -> dict[str, Any]:
        """The published accuracies, for comparison with those of `PhaseTracker`."""
        if self.published is None:
            return {}
        train, val = self.published
        return {"published_train_accuracy": train, "published_val_accuracy": val}
