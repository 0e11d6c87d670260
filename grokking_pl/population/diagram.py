"""A diagram's runs: read from its configuration, and trained by as many processes as there are."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from grokking_pl.errors import UserError
from grokking_pl.experiments import Grid, Settings, flatten, read_axis, set_value
from grokking_pl.experiments.grid import MAX_CELLS
from grokking_pl.experiments.settings import check_name
from grokking_pl.population.display import DiagramProgress
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.outcome import Outcome
from grokking_pl.population.ranks import Ranks
from grokking_pl.population.training import Job, Plan
from grokking_pl.population.workers import train_here, train_in_processes
from grokking_pl.runs.diagram_folder import DiagramFolder

COMPILING_PAYS = 50_000
"""Member-steps of a worker from which on compiling, some tens of seconds, takes less time than it saves."""


def find_base(base: str, files: Sequence[Path]) -> Path:
    """The configuration of ``grok fit`` that a diagram names, relative to its own file or to where the user works."""
    path = Path(base)
    if files and not path.is_absolute() and (files[0].parent / path).exists():
        return files[0].parent / path
    return path


def read_grid(
    base_file: Path, changes: dict[str, Any], axes_given: dict[str, Any], seeds_given: Any
) -> tuple[Grid, Settings]:
    """The grid, and the settings of ``grok fit`` that its cells change; checked before any work.

    Args:
        base_file: configuration of ``grok fit``.
        changes: settings to change in it, by name.
        axes_given: values on each axis, by name, as `read_axis` takes them.
        seeds_given: seeds with which every cell is run.

    Raises:
        UserError: a file cannot be read, a path does not exist, a value is of the wrong type, or an axis is empty.
    """
    try:
        given = yaml.safe_load(base_file.read_text())
    except (OSError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "it is no YAML"
        raise UserError(f"cannot read the base configuration {base_file}: {reason}") from None
    builder = MemberBuilder()
    base = builder.complete(given if isinstance(given, dict) else {})
    paths = list(flatten(base))
    for path, value in changes.items():
        check_name(path, paths)
        set_value(base, path, value)
    if changes:
        base = builder.complete(base)
        paths = list(flatten(base))
    if not 1 <= len(axes_given) <= 2:
        raise UserError(f"there are {len(axes_given)} axes; a diagram has one or two")
    for path in axes_given:
        check_name(path, paths)
    axes = {path: read_axis(path, values) for path, values in axes_given.items()}
    seeds = read_axis("seeds", seeds_given)
    grid = Grid(axes, seeds)
    if len(grid) > MAX_CELLS:
        raise UserError(f"the grid has {len(grid)} runs; at most {MAX_CELLS} are possible")
    # The ends of every axis are built once, so that a value that cannot be trained is known before any work.
    for path, values in axes.items():
        for value in {repr(value): value for value in (values[0], values[-1])}.values():
            settings = grid.settings(base, grid.cell(0))
            set_value(settings, path, value)
            builder.build(0, builder.complete(settings), seeds[0])
    return grid, base


def train_left(plan: Plan, ranks: Ranks, path: Path, workers: int | None, compiled: bool | None) -> None:
    """Train this process's share of the runs that are left.

    Args:
        plan: the diagram.
        ranks: the processes of the job.
        path: the diagram's folder.
        workers: training processes of each of these; None for one per core.
        compiled: whether to compile the step; None for where it pays.
    """
    grid = plan.grid
    folder = DiagramFolder(path, grid.axes, grid.seeds, ranks.rank)
    finished = folder.finished()
    states = folder.load_states()
    ranks.wait()  # what the others append now would change the shares
    left = len(grid) - len(finished)
    mine = set(islice(finished.left(), ranks.rank, None, ranks.size)) if ranks.size > 1 else None
    states = {index: state for index, state in states.items() if not mine or index in mine}
    share = left if mine is None else len(mine)
    if not share:
        return

    def jobs() -> Iterator[Job]:
        # Members that are on their way come first: they need no places for as long.
        for index in sorted(states):
            yield grid.cell(index), states.pop(index)
            started.add(index)
        for index in finished.left() if mine is None else sorted(mine):
            if index not in started:
                yield grid.cell(index), None

    started: set[int] = set()
    workers = min(workers or (_cores() // ranks.local_size if plan.device == "cpu" else 1) or 1, share)
    if compiled is None:
        compiled = share * plan.budget / workers > COMPILING_PAYS
    threads = max(1, _cores() // ranks.local_size // workers)
    plan = replace(plan, runs=-(-share // workers), compiled=compiled, threads=threads)
    if ranks.rank == 0:
        words = f"{len(grid)} runs" + (f", {len(finished)} of them done" if len(finished) else "")
        processes = workers * ranks.size
        how = f"{processes} process{'es' * (processes > 1)} on {plan.device}{', compiled' * compiled}"
        print(f"diagram in {path}: {words}; {how}", file=sys.stderr, flush=True)
    done = finished.phases if ranks.size == 1 else Counter[str]()
    label = "runs" if ranks.size == 1 else f"runs of process {ranks.rank + 1} of {ranks.size}"
    progress = DiagramProgress(share + done.total(), done, plan.budget, label, show=ranks.rank == 0)

    def take(member_steps: int, outcomes: list[Outcome]) -> None:
        ranks.check()
        ended = [(grid.cell(outcome.index), outcome) for outcome in outcomes]
        rows = [outcome.row(folder.axes, cell, plan.criteria.delay) for cell, outcome in ended]
        if rows:
            # In this order: a run whose row is missing is trained again.
            if plan.keep_curves:
                folder.append_curves(row for cell, outcome in ended for row in outcome.curve_rows(folder.axes, cell))
            folder.append(rows)
        progress.update(member_steps, [row["phase"] for row in rows])

    try:
        if workers == 1:
            train_here(plan, jobs(), folder, take, f"rank_{ranks.rank}")
        else:
            train_in_processes(plan, jobs(), folder, take, workers, f"rank_{ranks.rank}")
    finally:
        progress.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
