"""Evaluations that are put off, so that the values of many steps are evaluated together."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.reporting import Reporting


class Deferred(pl.Callback, Reporting, ABC):
    """Keeps a value per step, and evaluates them together: when enough wait, before a checkpoint, and at the end.

    Values may stay on the device until then, so that no step waits for them.

    Attributes:
        most_pending: how many values wait at most; with 1 each is evaluated at once.
    """

    most_pending = 1

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[tuple[int, Any]] = []

    @abstractmethod
    def evaluate(self, steps: Sequence[int], values: Sequence[Any]) -> None:
        """Evaluate the values that were kept at some steps, in their order."""

    def defer(self, step: int, value: Any) -> None:
        """Keep a value until it is evaluated."""
        self._pending.append((step, value))
        if len(self._pending) >= self.most_pending:
            self.settle()

    def settle(self) -> None:
        """Evaluate the values kept so far."""
        if self._pending:
            steps, values = zip(*self._pending, strict=True)
            self._pending.clear()
            self.evaluate(steps, values)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Evaluate what is left."""
        self.settle()

    def state_dict(self) -> dict[str, Any]:
        """Nothing; but no checkpoint is written before everything up to it is evaluated."""
        self.settle()
        return {}
