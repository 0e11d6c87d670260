"""Progress of a run: a live bar on terminals, occasional lines in log files."""

import sys
import time
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from grokking_pl.callbacks.reporting import reporting_callbacks, tell

WIDE = 110
"""Terminal width, in characters, with room for a bar."""


class StatusColumn(ProgressColumn):
    """The column that is cut if the terminal is too narrow, unlike step and remaining time."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=False))

    def render(self, task: Task) -> Text:
        """The status on one line."""
        return Text(task.fields["status"], no_wrap=True, overflow="ellipsis")


class RunProgress(ProgressBar):
    """Shows step, remaining time, and the status reported by callbacks: loss, accuracies, phase.

    Args:
        refresh_seconds: seconds between updates of the bar.
        line_seconds: seconds between lines if the output is not a terminal.
    """

    def __init__(self, refresh_seconds: float = 0.2, line_seconds: float = 15.0) -> None:
        super().__init__()
        self.refresh_seconds = refresh_seconds
        self.line_seconds = line_seconds
        self._console = Console(file=sys.stderr)
        self._enabled = True
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._next = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """The state without the terminal, so that a trainer can be copied and pickled during a run."""
        return {**vars(self), "_console": None, "_bar": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state; a copy writes to its own process's terminal."""
        vars(self).update(state, _console=Console(file=sys.stderr))

    def disable(self) -> None:
        """Show nothing; called by Lightning on every process but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show progress again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the bar, or the lines, at the run's current step."""
        self._start, self._start_step = time.monotonic(), trainer.global_step
        self._next = self._start + (self.refresh_seconds if self._console.is_terminal else self.line_seconds)
        if self._enabled and self._console.is_terminal:
            self._bar = Progress(
                TextColumn("step"),
                MofNCompleteColumn(table_column=Column(no_wrap=True)),
                *([BarColumn(bar_width=24)] if self._console.width >= WIDE else []),
                StatusColumn(),
                TimeRemainingColumn(elapsed_when_finished=True, table_column=Column(no_wrap=True)),
                console=self._console,
            )
            total = None if trainer.max_steps < 0 else trainer.max_steps
            self._task = self._bar.add_task("", total=total, completed=trainer.global_step, status="")
            self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the display if due."""
        if time.monotonic() >= self._next:
            self._show(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the last step."""
        self._show(trainer)
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Restore the terminal."""
        self._close()

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar."""
        self._console.print(*args)

    def _show(self, trainer: pl.Trainer) -> None:
        now = time.monotonic()
        self._next = now + (self.refresh_seconds if self._bar else self.line_seconds)
        if not self._enabled:
            return
        entries: dict[str, str] = {}
        for callback in reporting_callbacks(trainer):
            entries |= callback.status()
        status = " · ".join(f"{name} {value}" for name, value in entries.items())
        step = trainer.global_step
        if self._bar:
            self._bar.update(self._task, completed=step, status=status)
            return
        of_total, left = "", ""
        if trainer.max_steps > 0:
            of_total = f"/{trainer.max_steps}"
            steps_done = step - self._start_step
            if steps_done > 0 and step < trainer.max_steps:
                seconds = (now - self._start) / steps_done * (trainer.max_steps - step)
                left = f" · {timedelta(seconds=round(seconds))} left"
        tell(f"step {step}{of_total} · {status}{left}")

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None
