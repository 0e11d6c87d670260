"""How large the weights of each group are."""

from typing import Any

import lightning.pytorch as pl
import torch

from grokking_pl.callbacks.reporting import Reporting, log, made_update
from grokking_pl.errors import UserError


class WeightNorms(pl.Callback, Reporting):
    """Logs the Euclidean norm of the embeddings' parameters and of the decoder's.

    Args:
        every_n_steps: steps between measurements.

    Raises:
        UserError: every_n_steps is not positive, or the module has no groups of parameters.
    """

    def __init__(self, every_n_steps: int = 100) -> None:
        super().__init__()
        if every_n_steps < 1:
            raise UserError(f"WeightNorms: every_n_steps is {every_n_steps}; it must be at least 1")
        self.every_n_steps = every_n_steps
        self._last: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the initial weights."""
        if not hasattr(pl_module, "parameter_groups"):
            raise UserError(f"WeightNorms asks the module for its groups, but {type(pl_module).__name__} has none")
        if trainer.global_step == 0:
            self._measure(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the weights if it is time to."""
        step = trainer.global_step
        if made_update(trainer) and (step % self.every_n_steps == 0 or step == trainer.max_steps):
            self._measure(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The last norms."""
        return dict(self._last)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._last = dict(state_dict)

    def summary(self) -> dict[str, Any]:
        """The final norms."""
        return dict(self._last)

    def _measure(self, trainer: pl.Trainer, pl_module: Any) -> None:
        for name, parameters in pl_module.parameter_groups().items():
            if parameters:
                each = torch.stack([parameter.detach().float().norm() for parameter in parameters])
                self._last[f"weight_norm_{name}"] = float(each.norm())
        log(trainer, trainer.global_step, self._last)
