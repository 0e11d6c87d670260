"""Remaining time of a diagram, from the workers' reports."""

import math

from grokking_pl.population.outcome import Report
from grokking_pl.population.steps_left import Lengths

LONGEST_MEMORY = 10.0
"""Seconds over which speed and remaining time are averaged; less at the start."""


class TimeLeft:
    """Remaining time and speed, averaged over the last seconds.

    Args:
        runs: number of unfinished runs at the start.
        budget: steps of a run.
        now: start time in seconds.
    """

    def __init__(self, runs: int, budget: int, now: float) -> None:
        self._left = runs
        self._lengths = Lengths(budget)
        self._running: dict[str, list[int]] = {}
        self._places: dict[str, int] = {}
        self._start = self._last = now
        self._steps = self._run_seconds = 0.0
        self._end: float | None = None

    @property
    def steps_per_second(self) -> float:
        """Steps of all runs per second."""
        return sum(self._places.values()) * self._steps / max(self._run_seconds, 1e-9)

    def take(self, report: Report, now: float) -> None:
        """Update with a worker's report."""
        memory = min(LONGEST_MEMORY, max((now - self._start) / 4, 1e-9))
        kept = math.exp((self._last - now) / memory)
        self._last = now
        self._steps = kept * self._steps + report.steps
        self._places[report.worker] = len(report.running) + len(report.outcomes)
        self._run_seconds = kept * self._run_seconds + report.seconds * self._places[report.worker]
        for outcome in report.outcomes:
            self._lengths.add(outcome.steps)
        self._left -= len(report.outcomes)
        self._running[report.worker] = report.running
        if self._steps:
            end = now + self._steps_to_come() * self._run_seconds / self._steps
            self._end = end if self._end is None else end + kept * (self._end - end)

    def seconds(self, now: float) -> float | None:
        """The remaining time in seconds; None before the first report."""
        return None if self._end is None else max(0.0, self._end - now) if self._left else 0.0

    def _steps_to_come(self) -> float:
        """Steps until the last run ends: all remaining steps shared among the places, or the longest run's if more."""
        running = [steps for worker in self._running.values() for steps in worker]
        of_running, of_new = self._lengths.steps_left(running)
        waiting = max(0, self._left - len(running))
        shared = (of_running.sum() + waiting * of_new) / max(1, sum(self._places.values()))
        return float(max(shared, of_running.max(initial=0.0), of_new if waiting else 0.0))
