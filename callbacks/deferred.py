"""Deferred evaluation, so that the values of many steps are evaluated together."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.reporting import Reporting


class Deferred(pl.Callback, Reporting, ABC):
    """Keeps one value per step for joint evaluation: when enough are pending, before a checkpoint, and at the end.

    Values may stay on the device until then, so no step waits for them.

    Attributes:
        most_pending: most pending values; 1 evaluates each at once.
    """

    most_pending = 1

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[tuple[int, Any]] = []

    @abstractmethod
    def evaluate(self, steps: Sequence[int], values: Sequence[Any]) -> None:
        """Evaluate the values kept at these steps, in order."""

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
        """Evaluate the remaining values."""
        self.settle()

    def state_dict(self) -> dict[str, Any]:
        """An empty state; pending values are evaluated before a checkpoint is written."""
        self.settle()
        return {}
