"""The size of gradients, and the agreement of successive ones."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.errors import UserError
from grokking_pl.metrics import cosine, total_norm


class GradientDirection(Measurement):
    """Logs the norm of the gradient used by the optimizer, and its cosine with the previous step's.

    The columns are ``gradient_norm`` and ``gradient_cosine``. Both refer to the last update, so the initial network has
    neither, and the first update has no cosine. Interventions and clipping are included.

    Args:
        every_n_steps: steps between measurements.

    Raises:
        UserError: every_n_steps is not positive, or nothing is trained, as when measuring old checkpoints.
    """

    def __init__(self, every_n_steps: int = 100) -> None:
        super().__init__(every_n_steps)
        self._gradients: list[Tensor | None] = []
        self._before: list[Tensor | None] = []
        self._at = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the gradient of each update, without a copy: the next step creates a new one."""
        if trainer.global_step != self._at:
            self._at = trainer.global_step
            self._before, self._gradients = self._gradients, [weight.grad for weight in pl_module.parameters()]
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """Norm and cosine of the last update's gradient."""
        if trainer.global_step == 0:
            return {}
        if all(gradient is None for gradient in self._gradients):
            raise UserError("GradientDirection needs a run in training: a checkpoint has no gradients")
        values = {"gradient_norm": float(total_norm(self._gradients))}
        if self._before:
            values["gradient_cosine"] = float(cosine(self._gradients, self._before))
        return values

    def state_dict(self) -> dict[str, Any]:
        """The last values and the last gradient."""
        return {**super().state_dict(), "gradients": self._gradients, "at": self._at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a checkpoint's gradient."""
        super().load_state_dict(state_dict)
        self._gradients, self._at = list(state_dict["gradients"]), state_dict["at"]
