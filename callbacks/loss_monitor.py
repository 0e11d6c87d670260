"""Monitoring the training loss: log it, and stop when it is nan or infinite."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.callbacks.deferred import Deferred
from grokking_pl.callbacks.reporting import is_log_step, log
from grokking_pl.errors import UserError

PENDING = 64


class LossMonitor(Deferred):
    """Logs the batch loss as ``loss``, and ends a run whose loss is nan or infinite.

    On a GPU the losses of several steps are fetched together, always before a checkpoint, so no checkpoint contains
    weights from such a loss.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last = math.nan
        self._step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the device of the losses."""
        self._step = trainer.global_step
        self.most_pending = 1 if trainer.strategy.root_device.type == "cpu" else PENDING

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the loss of the step, if the module returns one, and log it every ``log_every_n_steps``.

        Raises:
            UserError: the loss is nan or infinite.
        """
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not isinstance(loss, Tensor):
            return
        # Lightning divides the loss by the number of accumulated batches.
        loss = loss.detach()
        if trainer.accumulate_grad_batches > 1:
            loss = loss * trainer.accumulate_grad_batches
        step = trainer.global_step
        self.defer(step, loss)
        made_update = step != self._step
        self._step = step
        if made_update and is_log_step(trainer, step):
            self.settle()
            if trainer.world_size > 1:
                self._last = float(trainer.strategy.reduce(loss.clone(), reduce_op="mean"))
            log(trainer, step, {"loss": self._last})

    def evaluate(self, steps: Sequence[int], values: Sequence[Float[Tensor, ""]]) -> None:
        """Check the losses of these steps.

        Raises:
            UserError: a loss is nan or infinite.
        """
        losses = torch.stack(list(values)).tolist() if len(values) > 1 else [values[0].item()]
        self._last = losses[-1]
        for step, loss in zip(steps, losses, strict=True):
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} at step {step}: lower the learning rate, or choose another seed "
                    "or precision; checkpoints from before that step are kept"
                )

    def status(self) -> dict[str, str]:
        """The last loss checked."""
        return {"loss": f"{self._last:.2e}"}
