"""A diagram on the terminal: a live bar for people, sparse lines for log files."""

import sys
import time
from collections import Counter
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from grokking_pl.metrics.phases import Phase


class DiagramProgress:
    """Shows runs done, phases so far, member-steps per second and the remaining time.

    Args:
        total: number of runs.
        phases: of the runs that were done before.
        budget: steps of a run.
        label: what is counted.
        show: whether to show anything.
        line_seconds: time between two lines where the output is no terminal.
    """

    def __init__(
        self,
        total: int,
        phases: Counter[str],
        budget: int,
        label: str = "runs",
        show: bool = True,
        line_seconds: float = 15.0,
    ) -> None:
        self._total = total
        self._phases = Counter(phases)
        self._before = phases.total()
        self._budget = budget
        self._label = label
        self._line_seconds = line_seconds
        self._steps = 0
        self._console = Console(file=sys.stderr)
        self._start = time.monotonic()
        self._next = self._start + line_seconds
        self._bar: Progress | None = None
        self._show = show
        if show and self._console.is_terminal:
            self._bar = Progress(
                TextColumn(label),
                MofNCompleteColumn(),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[status]}"),
                console=self._console,
            )
            self._task = self._bar.add_task("", total=total, completed=self._before, status="compiling")
            self._bar.start()

    def update(self, member_steps: int, phases: list[str]) -> None:
        """Take in a report."""
        self._steps += member_steps
        self._phases.update(phases)
        if self._bar:
            self._bar.update(self._task, completed=self._phases.total(), status=self._status())
        elif self._show and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._line_seconds
            print(f"{self._label} {self._phases.total()}/{self._total} · {self._status()}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar:
            self._bar.stop()

    def _status(self) -> str:
        seconds = time.monotonic() - self._start
        parts = [f"{phase} {self._phases[phase]}" for phase in map(str, Phase) if self._phases[phase]]
        parts.append(f"{self._steps / max(seconds, 1e-9):,.0f} member-steps/s")
        done = self._phases.total() - self._before
        if done and self._steps:
            # Runs end early or at the budget; those to come are taken to be as long as those that ended, at least.
            left = max(0.0, self._steps / done * (self._total - self._before) - self._steps)
            parts.append(f"about {timedelta(seconds=round(left * seconds / self._steps))} left")
        return " · ".join(parts)
