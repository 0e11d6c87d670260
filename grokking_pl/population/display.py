"""Progress of a diagram: a live bar on terminals, occasional lines in log files."""

import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from grokking_pl.metrics.phases import Phase
from grokking_pl.population.outcome import Report
from grokking_pl.population.time_left import TimeLeft

FIRST_LINE_SECONDS = 3.0
LINE_SECONDS = 15.0
"""Seconds between lines if the output is not a terminal."""


class DiagramProgress:
    """Show finished runs, phases so far, total steps per second and remaining time.

    Args:
        total: number of runs.
        phases: phases of the runs finished before.
        budget: steps of a run.
        label: label of the counts.
        show: whether to show anything.
    """

    def __init__(self, total: int, phases: Counter[str], budget: int, label: str = "runs", show: bool = True) -> None:
        self._total = total
        self._phases = Counter(phases)
        self._label = label
        now = time.monotonic()
        self._time_left = TimeLeft(total - phases.total(), budget, now)
        self._next = now + FIRST_LINE_SECONDS
        console = Console(file=sys.stderr)
        self._bar = _Bar(console, label, total, phases.total()) if show and console.is_terminal else None
        self._shows_lines = show and not self._bar
        if self._bar:
            self._bar.start()

    def update(self, report: Report, phases: list[str]) -> None:
        """Update with a worker's report and the phases of the runs that ended."""
        now = time.monotonic()
        self._time_left.take(report, now)
        self._phases.update(phases)
        if self._bar:
            self._bar.show(self._phases.total(), self._pace(now), self._phase_counts())
        elif self._shows_lines and now >= self._next:
            self._next = now + LINE_SECONDS
            counts = f"{self._label} {self._phases.total()}/{self._total}"
            print(" · ".join([counts, *self._phase_counts(), *self._pace(now)]), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Restore the terminal."""
        if self._bar:
            self._bar.stop()

    def _phase_counts(self) -> list[str]:
        return [f"{phase} {self._phases[phase]}" for phase in map(str, Phase) if self._phases[phase]]

    def _pace(self, now: float) -> list[str]:
        """Remaining time and speed as text; empty before the first steps."""
        seconds = self._time_left.seconds(now)
        if seconds is None:
            return []
        return [
            f"about {timedelta(seconds=round(seconds))} left",
            f"{self._time_left.steps_per_second:,.0f} steps/s",
        ]


class _Bar(Progress):
    """A line with the counts, the bar, the remaining time and the speed, and a second line with the phases.

    If a line is too narrow, its end is cut, so that the counts remain.
    """

    def __init__(self, console: Console, label: str, total: int, completed: int) -> None:
        self._phases = Text("")
        super().__init__(
            TextColumn(label, table_column=Column(min_width=len(label), no_wrap=True)),
            MofNCompleteColumn(table_column=Column(min_width=len(f"{total}/{total}"), no_wrap=True)),
            BarColumn(bar_width=max(8, min(24, console.width - 62))),
            TextColumn("{task.fields[pace]}"),
            console=console,
        )
        self._line = self.add_task("", total=total, completed=completed, pace="starting")

    def show(self, completed: int, pace: Iterable[str], phases: Iterable[str]) -> None:
        self._phases = Text(" · ".join(phases))
        self.update(self._line, completed=completed, pace=" · ".join(pace) or "starting")

    def get_renderables(self) -> Iterable[RenderableType]:
        """The lines, in the form required by `Progress`."""
        yield from super().get_renderables()
        yield self._phases
