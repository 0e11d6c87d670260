"""What the decoder makes of the plane of two-dimensional embeddings (figure 2 of the paper)."""

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
    """Draws the class that the final decoder gives to each point of the plane that it reads: ``decision_map.png``.

    Symbols stand where they are combined with themselves, pairs midway between theirs. The title has the accuracies at
    the end. The numbers are in ``decision_map.npz``: ``x``, ``y`` and ``classes`` of the grid; ``symbols``, their
    ``names``; and for every pair ``pairs``, its place, ``train``, whether it is for training, and ``correct``.

    Args:
        points: of the grid, in each direction.
        published: training and validation accuracy of a published run, which the title sets beside this one's.

    Raises:
        UserError: a parameter is out of range, the data have no operation table, or the network has no decoder that
            reads sums of two-dimensional embeddings.
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

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there is a plane to draw."""
        require_table(trainer, "DecisionMap")
        module: Any = pl_module
        try:
            check_plane(module)
        except UserError as error:
            raise UserError(f"DecisionMap: {error}") from None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask the decoder."""
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
            UserError: the disk is full or the folder has gone.
        """
        if not self._arrays:
            return
        keep_arrays(trainer, "decision_map.npz", **self._arrays)

        def make() -> Any:
            from grokking_pl.plots.decision_map import decision_map  # matplotlib takes a second to import

            return decision_map(self._arrays, trainer.global_step, self.published)

        draw(trainer, "decision_map.png", make)

    def summary(self) -> dict[str, Any]:
        """The published accuracies, beside which `PhaseTracker` sets those of the run."""
        if self.published is None:
            return {}
        train, val = self.published
        return {"published_train_accuracy": train, "published_val_accuracy": val}
