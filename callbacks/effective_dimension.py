"""In how many dimensions the embeddings live (section 4.2 of the paper)."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.reporting import Reporting, log, made_update, require_representation
from grokking_pl.errors import UserError
from grokking_pl.metrics import effective_dimension, pca_entropy


class EffectiveDimension(pl.Callback, Reporting):
    """Logs the entropy S of the principal components of the embeddings, and the effective dimension exp(S).

    Args:
        every_n_steps: steps between evaluations.

    Raises:
        UserError: every_n_steps is not positive, the network has no embeddings, or an embedding is not a number.
    """

    def __init__(self, every_n_steps: int = 100) -> None:
        super().__init__()
        if every_n_steps < 1:
            raise UserError(f"EffectiveDimension: every_n_steps is {every_n_steps}; it must be at least 1")
        self.every_n_steps = every_n_steps
        self._last: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the initial embeddings."""
        require_representation(pl_module, "EffectiveDimension")
        if trainer.global_step == 0:
            self._measure(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the embeddings if it is time to."""
        step = trainer.global_step
        if made_update(trainer) and (step % self.every_n_steps == 0 or step == trainer.max_steps):
            self._measure(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The last values."""
        return dict(self._last)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._last = dict(state_dict)

    def status(self) -> dict[str, str]:
        """The effective dimension."""
        return {"dim": f"{self._last['effective_dimension']:.1f}"} if self._last else {}

    def summary(self) -> dict[str, Any]:
        """The final entropy and effective dimension."""
        return dict(self._last)

    def _measure(self, trainer: pl.Trainer, pl_module: Any) -> None:
        embeddings = pl_module.representation.embeddings
        self._last = {
            "pca_entropy": float(pca_entropy(embeddings)),
            "effective_dimension": float(effective_dimension(embeddings)),
        }
        log(trainer, trainer.global_step, self._last)
