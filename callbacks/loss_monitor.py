"""Watching the training loss: log it, and stop at the step at which it is no longer a number."""

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from grokking_pl.callbacks.reporting import Reporting, log, made_update
from grokking_pl.errors import UserError

PENDING = 64


class LossMonitor(pl.Callback, Reporting):
    """Logs the loss of the batch as ``loss`` and ends a run whose loss is NaN or infinite.

    On a GPU the losses of several steps are fetched together, and always before a checkpoint, so that no checkpoint
    holds weights that came from such a loss.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[tuple[int, Tensor]] = []
        self._last = math.nan

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the loss of the step, and log it every ``log_every_n_steps``.

        Raises:
            UserError: the loss is not a number.
        """
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if not isinstance(loss, Tensor):
            return
        # Lightning divides the loss by the number of batches whose gradients it adds up.
        loss = loss.detach()
        if trainer.accumulate_grad_batches > 1:
            loss = loss * trainer.accumulate_grad_batches
        step = trainer.global_step
        self._pending.append((step, loss))
        time_to_log = made_update(trainer) and step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        if loss.device.type == "cpu" or len(self._pending) == PENDING or time_to_log:
            self.settle()
        if time_to_log:
            if trainer.world_size > 1:
                self._last = float(trainer.strategy.reduce(loss.clone(), reduce_op="mean"))
            log(trainer, step, {"loss": self._last})

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Check what has not been checked before a checkpoint is written."""
        self.settle()

    def status(self) -> dict[str, str]:
        """The loss of the last batch checked."""
        return {"loss": f"{self._last:.2e}"}

    def settle(self) -> None:
        """Check the losses that are still on the device."""
        if not self._pending:
            return
        on_device = [loss for _, loss in self._pending]
        losses = torch.stack(on_device).tolist() if len(on_device) > 1 else [on_device[0].item()]
        steps = [step for step, _ in self._pending]
        self._pending.clear()
        self._last = losses[-1]
        for step, value in zip(steps, losses, strict=True):
            if not math.isfinite(value):
                raise UserError(
                    f"the loss is {value} at step {step}: lower the learning rate, or choose another seed "
                    "or precision; checkpoints from before that step are kept"
                )
