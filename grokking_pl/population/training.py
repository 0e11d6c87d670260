"""Training the cells of a diagram, in this process or in one a core."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from grokking_pl.experiments import Cell, Grid
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.engine import Batch
from grokking_pl.population.member import Member, MemberBuilder, same_samples
from grokking_pl.population.observation import ObservationOptions
from grokking_pl.population.outcome import Outcome
from grokking_pl.runs.diagram_folder import DiagramFolder
from grokking_pl.training.module import SMALL_STEP

SECONDS_BETWEEN_LOOKS = 0.3
CACHE_BYTES = 8_000_000
"""Weights, gradients and moments of a batch that a core's share of the caches holds; measured on the toy models."""
PLACES_ON_GPU = 4096

State = dict[str, Any] | None


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


class Source:
    """Where a worker gets its members from, and tells how it gets on."""

    def fetch(self, count: int) -> list[tuple[Cell, State]]:
        """The next cells to train, at most ``count``; none if all are taken."""
        raise NotImplementedError

    def report(self, member_steps: int, outcomes: list[Outcome]) -> None:
        """Tell how many steps were made, and which members are done."""
        raise NotImplementedError


def train_cells(plan: Plan, source: Source, name: str, folder: DiagramFolder) -> None:
    """Train what the source gives until it gives no more.

    Args:
        plan: the diagram.
        source: gives cells and takes outcomes.
        name: of the file that holds the states of members on their way.
        folder: where that file is.
    """
    builder = MemberBuilder()
    waiting: deque[tuple[Member, State]] = deque()

    def fetch(count: int) -> int:
        cells = source.fetch(count)
        for cell, state in cells:
            waiting.append((builder.build(cell.index, plan.grid.settings(plan.base, cell), cell.seed), state))
        return len(cells)

    save: Callable[[], None] = lambda: None  # noqa: E731
    places = plan.runs
    try:
        while waiting or fetch(1):
            template = waiting[0][0]
            wanted = plan.places or places_for(template, plan.device)
            # A batch of one would need a graph of its own.
            batch = Batch(
                template,
                max(2, min(wanted, places)),
                plan.criteria,
                plan.budget,
                plan.device,
                plan.compiled,
                share_samples(plan, builder),
                plan.observe,
                plan.keep_curves,
            )
            torch.set_num_threads(1 if _is_small(template) else plan.threads)

            def save(batch: Batch = batch) -> None:
                states = {member.index: batch.state_of(k) for k, member in enumerate(batch.members) if member}
                states |= {member.index: state for member, state in waiting if state}
                folder.save_states(name, states)

            exhausted = _train_batch(batch, template.kind, waiting, fetch, source, save, plan)
            places = len(waiting) if exhausted else plan.runs
    except (KeyboardInterrupt, ConnectionError, EOFError):
        save()
        raise


def _train_batch(
    batch: Batch,
    kind: str,
    waiting: deque[tuple[Member, State]],
    fetch: Callable[[int], int],
    source: Source,
    save: Callable[[], None],
    plan: Plan,
) -> bool:
    """Keep a batch full with members of its kind until there are no more, or too few for it.

    Returns:
        Whether the source has no more; members that are left wait with their states.
    """
    every = batch.interval
    steps = every
    saved = time.monotonic()
    exhausted = False
    while True:
        while batch.free:
            if not waiting:
                exhausted = exhausted or not fetch(batch.free)
            if not waiting or waiting[0][0].kind != kind:
                break
            batch.put(*waiting.popleft())
        before = batch.steps
        if all(step is None for step in before):
            return exhausted
        compiling = batch.compile_seconds
        start = time.monotonic()
        batch.advance(steps)
        after = batch.steps
        seconds = time.monotonic() - start - (batch.compile_seconds - compiling)
        done = sum(
            min(b, plan.budget) - min(a, plan.budget)
            for a, b in zip(before, after, strict=True)
            if a is not None and b is not None
        )
        source.report(done, batch.take_decided())
        if exhausted and _is_worth_compacting(batch, seconds / steps):
            waiting.extendleft(
                (member, batch.state_of(place)) for place, member in enumerate(batch.members) if member is not None
            )
            return True
        # Looks cost little at this distance, and decided members leave soon.
        steps = every * max(1, min(1000, round(steps * SECONDS_BETWEEN_LOOKS / max(seconds, 1e-6))) // every)
        if time.monotonic() - saved > plan.checkpoint_seconds:
            save()
            saved = time.monotonic()


def _is_worth_compacting(batch: Batch, seconds_per_step: float) -> bool:
    """Whether a batch with as many places as there are members would win back what compiling it costs."""
    places = len(batch.members)
    kept = max(2, places - batch.free)
    left = max((batch.budget - step for step in batch.steps if step is not None), default=0)
    saving = left * seconds_per_step * (1 - kept / places)
    return places > kept and saving > 2 * batch.compile_seconds + SECONDS_BETWEEN_LOOKS


def _is_small(member: Member) -> bool:
    """Whether threads would wait for each other longer than they work."""
    batch = min(member.data.batch_size or member.data.num_train, member.data.num_train)
    return batch * sum(value.numel() for value in member.module.parameters()) < SMALL_STEP


def places_for(member: Member, device: str) -> int:
    """How many members to train as one batch: on a CPU as many as its cache holds, on a GPU as its memory does."""
    weights = sum(value.numel() for value in member.module.parameters())
    if torch.device(device).type == "cpu":
        return max(2, min(64, CACHE_BYTES // (16 * weights)))
    widest = max(value.shape[0] for value in member.module.parameters())
    batch = min(member.data.batch_size or member.data.num_train, len(member.data.inputs))
    bytes_a_member = 4 * (8 * weights + 32 * batch * widest)
    return max(2, min(PLACES_ON_GPU, int(torch.cuda.mem_get_info()[0] * 0.5) // bytes_a_member))


def share_samples(plan: Plan, builder: MemberBuilder) -> bool:
    """Whether all cells have the same samples, so that a batch holds them once."""
    if any(path.split(".")[0] == "data" for path in plan.grid.axes):
        return False
    cell = plan.grid.cell(0)
    settings = plan.grid.settings(plan.base, cell)
    first, *others = (builder.build(0, settings, seed).data for seed in plan.grid.seeds[:2])
    return all(same_samples(first, other) for other in others)
