"""Training cells of a diagram in one process: members wait in a queue, and a batch is kept full."""

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch

from grokking_pl.experiments import Cell, Grid
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.compilation import forget_compiled_steps
from grokking_pl.population.failure import needing_memory
from grokking_pl.population.held_signals import HeldSignals
from grokking_pl.population.member import Member, MemberBuilder
from grokking_pl.population.observation import ObservationOptions
from grokking_pl.population.outcome import Report
from grokking_pl.population.places import is_small, places_for
from grokking_pl.population.ranks import ProcessDied
from grokking_pl.population.samples import same_samples
from grokking_pl.runs.diagram_folder import DiagramFolder
from grokking_pl.training.subnormal import are_subnormals_flushed, flush_subnormals

SECONDS_BETWEEN_REPORTS = 0.3
"""Seconds between checks for members that have ended."""
MOST_STEPS_BETWEEN_REPORTS = 1000

SavedState = dict[str, Any]
"""Saved state from which `Batch.put` resumes a member."""
Job = tuple[Cell, SavedState | None]
"""A cell to train, and the saved state of its member, if any."""


@dataclass(frozen=True)
class Plan:
    """Everything a worker needs to know about a diagram.

    Args:
        grid: grid of runs.
        base: `grok fit` settings that the cells change.
        criteria: criteria for phases.
        observe: when to observe the embeddings.
        budget: steps of a run.
        runs: approximate number of runs per worker.
        places: members per batch; None to choose by size.
        device: device to train on.
        compiled: whether to compile the step.
        threads: threads per worker.
        checkpoint_seconds: seconds between checkpoints.
        keep_curves: whether to keep the curves of the runs.
        stop_when_decided: whether a run ends as soon as its phase is decided, or trains for the whole budget.
        dividing: axes whose values have different kinds, so that batches are divided along them.
    """

    grid: Grid
    base: dict[str, Any]
    criteria: PhaseCriteria
    observe: ObservationOptions
    budget: int
    device: str
    places: int | None = None
    runs: int = 1
    compiled: bool = False
    threads: int = 1
    checkpoint_seconds: float = 30.0
    keep_curves: bool = False
    stop_when_decided: bool = True
    dividing: tuple[str, ...] = ()


class Source:
    """The source of a worker's members, which also receives its reports."""

    def fetch(self, count: int) -> list[Job]:
        """The next jobs, at most ``count``; empty if none are left."""
        raise NotImplementedError

    def report(self, report: Report) -> None:
        """Report steps made and members finished."""
        raise NotImplementedError


def train_cells(plan: Plan, source: Source, name: str, folder: DiagramFolder) -> None:
    """Train cells until the source is empty.

    Args:
        plan: the diagram.
        source: source of cells and receiver of outcomes.
        name: name of the file with the states of unfinished members.
        folder: folder of that file.

    Raises:
        UserError: the members cannot be trained as a batch, or memory is too small for them.
    """
    worker = Worker(plan, source, name, folder)
    flushed = are_subnormals_flushed()
    flush_subnormals(True)
    try:
        worker.train()
    except (ConnectionError, EOFError, ProcessDied):  # nothing receives the reports, which are made between steps
        worker.save()
        raise
    finally:
        flush_subnormals(flushed)


class Worker:
    """Trains members of any kind, one batch after another; arguments as in `train_cells`."""

    def __init__(self, plan: Plan, source: Source, name: str, folder: DiagramFolder) -> None:
        self._plan = plan
        self._source = source
        self._name = name
        self._folder = folder
        self._builder = MemberBuilder()
        self._shared_samples = share_samples(plan, self._builder)
        self._of_a_kind = len(plan.grid) // math.prod(len(plan.grid.axes[axis]) for axis in plan.dividing)
        self._waiting: deque[tuple[Member, SavedState | None]] = deque()
        self._exhausted = False
        self._batch: Batch | None = None
        self._saved_at = self._reported_at = time.monotonic()

    def train(self) -> None:
        """Train members until the source is empty.

        Raises:
            KeyboardInterrupt: the command was stopped; the states of unfinished members are written.
        """
        with HeldSignals() as self._signals:
            self._train()

    def _train(self) -> None:
        runs = self._plan.runs
        while self._waiting or self._fetch(1):
            template = self._waiting[0][0]
            places = min(self._plan.places or places_for(template, self._plan.device), runs)
            # Not one place if the kind has more runs: how many are left depends on the number of workers, and the
            # rounding of a batch of one is its own.
            places = max(min(2, self._of_a_kind), min(places, self._of_a_kind))
            with needing_memory(places):
                self._batch = self._empty_batch(template, places)
                self._train_batch(self._batch, template.kind)
            runs = len(self._waiting) if self._exhausted else self._plan.runs

    def save(self) -> None:
        """Write the states of all unfinished members."""
        states = {member.index: saved for member, saved in self._waiting if saved}
        if self._batch is not None:
            states |= {member.index: saved for member, saved in _members_of(self._batch)}
            self._folder.states.save(self._name, states)
        self._saved_at = time.monotonic()

    def _fetch(self, most: int) -> bool:
        """Fetch up to ``most`` further members to wait; return whether there are any."""
        jobs = self._source.fetch(most)
        for cell, saved in jobs:
            settings = self._plan.grid.settings(self._plan.base, cell)
            self._waiting.append((self._builder.build(cell.index, settings, cell.seed), saved))
        self._exhausted = not jobs
        return not self._exhausted

    def _empty_batch(self, template: Member, places: int) -> Batch:
        plan = self._plan
        torch.set_num_threads(1 if is_small(template) else plan.threads)
        if plan.compiled:
            forget_compiled_steps()
        return Batch(
            template,
            places,
            plan.criteria,
            plan.budget,
            plan.device,
            plan.compiled,
            self._shared_samples,
            plan.observe,
            plan.keep_curves,
            plan.stop_when_decided,
        )

    def _train_batch(self, batch: Batch, kind: str) -> None:
        """Keep a batch full with members of its kind until there are none left, or too few."""
        steps = batch.interval
        while True:
            self._fill(batch, kind)
            if batch.free == len(batch.members):
                return
            seconds = self._advance(batch, steps)
            if self._signals:
                self.save()
                self._signals.release()
            if self._exhausted and _is_worth_compacting(batch, seconds / steps):
                self._waiting.extendleft(_members_of(batch))
                return
            wanted = min(MOST_STEPS_BETWEEN_REPORTS, round(steps * SECONDS_BETWEEN_REPORTS / max(seconds, 1e-6)))
            steps = batch.interval * max(1, wanted // batch.interval)
            if time.monotonic() - self._saved_at > self._plan.checkpoint_seconds:
                self.save()

    def _fill(self, batch: Batch, kind: str) -> None:
        """Fill empty places with the next members, as long as they are of the batch's kind."""
        while batch.free:
            if not self._waiting and not self._exhausted:
                self._fetch(batch.free)
            if not self._waiting or self._waiting[0][0].kind != kind:
                return
            batch.put(*self._waiting.popleft())

    def _advance(self, batch: Batch, steps: int) -> float:
        """Train for some steps and report; return the seconds taken, without compiling."""
        before = batch.steps
        compile_seconds = batch.compile_seconds
        start = time.monotonic()
        batch.advance(steps)
        after = batch.steps
        seconds = time.monotonic() - start - (batch.compile_seconds - compile_seconds)
        budget = self._plan.budget
        made = sum(
            min(new, budget) - min(old, budget)
            for old, new in zip(before, after, strict=True)
            if old is not None and new is not None
        )
        outcomes = batch.take_decided()
        running = [step for step in batch.steps if step is not None]
        now = time.monotonic()
        since_report = now - self._reported_at - (batch.compile_seconds - compile_seconds)
        self._reported_at = now
        self._source.report(Report(self._name, made, since_report, outcomes, running))
        return seconds


def share_samples(plan: Plan, builder: MemberBuilder) -> bool:
    """Whether all cells have the same samples, so that a batch stores them once."""
    if any(path.split(".")[0] == "data" for axis in plan.grid.axes for path in plan.grid.paths_of(axis)):
        return False
    cell = plan.grid.cell(0)
    settings = plan.grid.settings(plan.base, cell)
    first, *others = (builder.build(0, settings, seed).data for seed in plan.grid.seeds[:2])
    return all(same_samples(first, other) for other in others)


def _members_of(batch: Batch) -> list[tuple[Member, SavedState]]:
    """The members of a batch and their states."""
    return [(member, batch.state_of(place)) for place, member in enumerate(batch.members) if member is not None]


def _is_worth_compacting(batch: Batch, seconds_per_step: float) -> bool:
    """Whether compiling a smaller batch, with one place per member, would pay off."""
    places = len(batch.members)
    kept = max(2, places - batch.free)
    left = max((batch.budget - step for step in batch.steps if step is not None), default=0)
    saving = left * seconds_per_step * (1 - kept / places)
    return places > kept and saving > 2 * batch.compile_seconds + SECONDS_BETWEEN_REPORTS
