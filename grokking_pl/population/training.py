"""Training the cells of a diagram in one process: members wait in a queue, and a batch is kept full of them."""

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
from grokking_pl.population.member import Member, MemberBuilder
from grokking_pl.population.observation import ObservationOptions
from grokking_pl.population.outcome import Report
from grokking_pl.population.places import is_small, places_for
from grokking_pl.population.ranks import ProcessDied
from grokking_pl.population.samples import same_samples
from grokking_pl.runs.diagram_folder import DiagramFolder

SECONDS_BETWEEN_REPORTS = 0.3
"""Time after which decided members leave their places; to look for them costs little at this distance."""
MOST_STEPS_BETWEEN_REPORTS = 1000

SavedState = dict[str, Any]
"""What `Batch.put` needs to go on with a member."""
Job = tuple[Cell, SavedState | None]
"""A cell to train, and the state of its member if it is on its way."""


@dataclass(frozen=True)
class Plan:
    """What every worker must know of a diagram.

    Args:
        grid: the runs.
        base: settings of ``grok fit`` that the cells change.
        criteria: what decides a phase.
        observe: when to look at the embeddings.
        budget: steps of a run.
        runs: how many a worker has, about.
        places: members per batch; None for a choice by size.
        device: where to train.
        compiled: whether to compile the step.
        threads: threads of a worker.
        checkpoint_seconds: time between two checkpoints.
        keep_curves: whether to keep the curves of the runs.
        stop_when_decided: whether a run ends as soon as its phase is decided, or trains for the whole budget.
        dividing: the axes whose values are of several kinds, so that no batch goes along them.
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
    """Where a worker gets its members from, and tells how it gets on."""

    def fetch(self, count: int) -> list[Job]:
        """The next jobs, at most ``count``; none if all are taken."""
        raise NotImplementedError

    def report(self, report: Report) -> None:
        """Tell how many steps were made, and which members are done."""
        raise NotImplementedError


def train_cells(plan: Plan, source: Source, name: str, folder: DiagramFolder) -> None:
    """Train what the source gives until it gives no more.

    Args:
        plan: the diagram.
        source: gives cells and takes outcomes.
        name: of the file that holds the states of members on their way.
        folder: where that file is.

    Raises:
        UserError: the members cannot be trained as a batch, or the memory is too small for as many.
    """
    worker = Worker(plan, source, name, folder)
    try:
        worker.train()
    except (KeyboardInterrupt, ConnectionError, EOFError, ProcessDied):
        worker.save()
        raise


class Worker:
    """Trains members of any kind, in one batch after another; the arguments are those of `train_cells`."""

    def __init__(self, plan: Plan, source: Source, name: str, folder: DiagramFolder) -> None:
        self._plan = plan
        self._source = source
        self._name = name
        self._folder = folder
        self._builder = MemberBuilder()
        self._shared_samples = share_samples(plan, self._builder)
        self._waiting: deque[tuple[Member, SavedState | None]] = deque()
        self._exhausted = False
        self._batch: Batch | None = None
        self._saved_at = self._reported_at = time.monotonic()

    def train(self) -> None:
        """Train members until the source has no more."""
        runs = self._plan.runs
        while self._waiting or self._fetch(1):
            template = self._waiting[0][0]
            # A batch of one would need a graph of its own.
            places = max(2, min(self._plan.places or places_for(template, self._plan.device), runs))
            with needing_memory(places):
                self._batch = self._empty_batch(template, places)
                self._train_batch(self._batch, template.kind)
            runs = len(self._waiting) if self._exhausted else self._plan.runs

    def save(self) -> None:
        """Write the states of all members that are on their way."""
        states = {member.index: saved for member, saved in self._waiting if saved}
        if self._batch is not None:
            states |= {member.index: saved for member, saved in _members_of(self._batch)}
            self._folder.states.save(self._name, states)
        self._saved_at = time.monotonic()

    def _fetch(self, most: int) -> bool:
        """Let up to ``most`` further members wait; whether there are any."""
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
        """Keep a batch full with members of its kind until there are no more, or too few for it."""
        steps = batch.interval
        while True:
            self._fill(batch, kind)
            if batch.free == len(batch.members):
                return
            seconds = self._advance(batch, steps)
            if self._exhausted and _is_worth_compacting(batch, seconds / steps):
                self._waiting.extendleft(_members_of(batch))
                return
            wanted = min(MOST_STEPS_BETWEEN_REPORTS, round(steps * SECONDS_BETWEEN_REPORTS / max(seconds, 1e-6)))
            steps = batch.interval * max(1, wanted // batch.interval)
            if time.monotonic() - self._saved_at > self._plan.checkpoint_seconds:
                self.save()

    def _fill(self, batch: Batch, kind: str) -> None:
        """Give the empty places to members of the batch's kind, as far as they are next."""
        while batch.free:
            if not self._waiting and not self._exhausted:
                self._fetch(batch.free)
            if not self._waiting or self._waiting[0][0].kind != kind:
                return
            batch.put(*self._waiting.popleft())

    def _advance(self, batch: Batch, steps: int) -> float:
        """Train for some steps and report what came of them; returns the seconds, without those of compiling."""
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
    """Whether all cells have the same samples, so that a batch holds them once."""
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
    """Whether a batch with as many places as there are members would win back what compiling it costs."""
    places = len(batch.members)
    kept = max(2, places - batch.free)
    left = max((batch.budget - step for step in batch.steps if step is not None), default=0)
    saving = left * seconds_per_step * (1 - kept / places)
    return places > kept and saving > 2 * batch.compile_seconds + SECONDS_BETWEEN_REPORTS
