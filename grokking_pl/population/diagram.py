"""The runs of a diagram: reading its configuration, and training its runs in several processes."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from grokking_pl.cores import cores
from grokking_pl.errors import UserError
from grokking_pl.experiments import Grid, Settings, flatten, set_value
from grokking_pl.experiments.settings import check_name
from grokking_pl.metrics.crossings import further_columns
from grokking_pl.population.display import DiagramProgress
from grokking_pl.population.honoured import check_trainer
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.outcome import Report
from grokking_pl.population.ranks import Ranks
from grokking_pl.population.rates import notes_on_schedules
from grokking_pl.population.training import Job, Plan
from grokking_pl.population.workers import train_here, train_in_processes
from grokking_pl.runs.diagram_folder import DiagramFolder

COMPILING_PAYS = 50_000, 1.5e13
"""Member-steps per worker, or their floating-point operations, above which compiling, some tens of seconds, pays."""


def find_base(base: str, files: Sequence[Path]) -> Path:
    """Find a diagram's `grok fit` configuration, relative to the diagram's file or to the working directory."""
    path = Path(base)
    if files and not path.is_absolute() and (files[0].parent / path).exists():
        return files[0].parent / path
    return path


def read_base(base_file: Path) -> dict[str, Any]:
    """Read a diagram's `grok fit` configuration.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        given = yaml.safe_load(base_file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "not valid YAML"
        raise UserError(f"cannot read the base configuration {base_file}: {reason}") from None
    return given if isinstance(given, dict) else {}


def settings_of(
    given: Mapping[str, Any], changes: dict[str, Any], interventions_among: Callable[[Any], Settings]
) -> tuple[Settings, int]:
    """Check the `grok fit` settings that a diagram's cells change; return all of them, and the seed.

    Args:
        given: configuration of `grok fit`.
        changes: settings to change in it, by name.
        interventions_among: selects interventions among the trainer's callbacks, and refuses other callbacks that
            change training.

    Raises:
        UserError: a setting does not exist or has the wrong type, or the configuration has something that a diagram
            does not support.
    """
    trainer = given.get("trainer") or {}
    check_trainer(trainer)
    builder = MemberBuilder()
    base = builder.complete({**given, "callbacks": interventions_among(trainer.get("callbacks"))})
    names = _names(base)
    for name, value in changes.items():
        check_name(str(name), names)
        set_value(base, name, value)
    seed = given.get("seed_everything", 0)
    seed = seed if isinstance(seed, int) and seed is not True else 0
    return builder.complete(base) if changes else base, seed


def check_cells(grid: Grid, base: Settings, changes: Iterable[str]) -> tuple[str, ...]:
    """Check that every value of every axis can be trained; return the axes along which batches are divided.

    Args:
        grid: grid of runs.
        base: settings of `grok fit`, with the changes for all runs.
        changes: names of these changes.

    Raises:
        UserError: a setting does not exist, a value is invalid, or a setting is changed for all runs too.
    """
    builder = MemberBuilder()
    names = _names(base)
    dividing = []
    for axis, values in grid.axes.items():
        kinds, checked = set(), set()
        for name in grid.paths_of(axis):
            check_name(name, names)
            for changed in changes:
                if changed == name or changed.startswith(f"{name}."):
                    raise UserError(f"set and the axis {axis} both set {changed}: remove one of them")
        first, place = grid.cell(0), list(grid.axes).index(axis)
        for value in values:
            coordinates = (*first.values[:place], value, *first.values[place + 1 :])
            settings = grid.settings(base, replace(first, values=coordinates))
            # Checking types takes a tenth of a second, and one number of a type stands for the others.
            if type(value) not in checked:
                settings = builder.complete(settings)
                checked |= {type(value)} & {int, float}
            kinds.add(builder.build(0, settings, grid.seeds[0]).kind)
        if len(kinds) > 1:
            dividing.append(axis)
    return tuple(dividing)


def _names(base: Settings) -> list[str]:
    """The names of all settings, including those that contain others, such as a group's options."""
    names = list(flatten(base))
    holders = {name.rpartition(".")[0] for name in names if name.count(".") > 1}
    return [*names, *(holders | {"callbacks"}) - {*names}]


def train_left(plan: Plan, ranks: Ranks, path: Path, workers: int | None, compiled: bool | None) -> None:
    """Train this process's share of the unfinished runs.

    Args:
        plan: the diagram.
        ranks: processes of the job.
        path: folder of the diagram.
        workers: training processes per job process; None for one per core.
        compiled: whether to compile the step; None to compile if it pays off.
    """
    grid = plan.grid
    further = further_columns(plan.criteria.further_thresholds)
    folder = DiagramFolder(path, grid.axes, grid.seeds, ranks.rank, further)
    finished = folder.finished()
    states = folder.states.load()
    ranks.wait()  # rows appended before all have read the table would change the shares
    left = len(grid) - len(finished)
    mine = set(islice(finished.left(), ranks.rank, None, ranks.size)) if ranks.size > 1 else None
    states = {index: state for index, state in states.items() if not mine or index in mine}
    share = left if mine is None else len(mine)
    if not share:
        return

    def jobs() -> Iterator[Job]:
        # Resumed members come first, since they occupy places for a shorter time.
        for index in kinds_together(plan, sorted(states)):
            yield grid.cell(index), states.pop(index)
            started.add(index)
        for index in kinds_together(plan, finished.left() if mine is None else sorted(mine)):
            if index not in started:
                yield grid.cell(index), None

    started: set[int] = set()
    workers = min(workers or (cores() // ranks.local_size if plan.device == "cpu" else 1) or 1, share)
    if compiled is None:
        compiled = compiling_pays(plan, share * plan.budget / workers)
    threads = max(1, cores() // ranks.local_size // workers)
    plan = replace(plan, runs=-(-share // workers), compiled=compiled, threads=threads)
    if ranks.rank == 0:
        words = f"{len(grid)} runs" + (f", {len(finished)} done" if len(finished) else "")
        processes = workers * ranks.size
        how = f"{processes} process{'es' * (processes > 1)} on {plan.device}{', compiled' * compiled}"
        print(f"diagram in {path}: {words}; {how}", file=sys.stderr, flush=True)
        settings = grid.settings(plan.base, grid.cell(0))
        if any("schedule" in name and value is not None for name, value in flatten(settings).items()):
            for note in notes_on_schedules(MemberBuilder().build(0, settings, grid.seeds[0]), plan.budget):
                print(note, file=sys.stderr, flush=True)
    done = finished.phases if ranks.size == 1 else Counter[str]()
    label = "runs" if ranks.size == 1 else f"runs of process {ranks.rank + 1} of {ranks.size}"
    progress = DiagramProgress(share + done.total(), done, plan.budget, label, show=ranks.rank == 0)

    def take(report: Report) -> None:
        ranks.check()
        ended = [(grid.cell(outcome.index), outcome) for outcome in report.outcomes]
        rows = [outcome.row(folder.axes, cell, plan.criteria.delay) for cell, outcome in ended]
        if rows:
            # In this order, because a run without a row is trained again.
            if plan.keep_curves:
                folder.append_curves(row for cell, outcome in ended for row in outcome.curve_rows(folder.axes, cell))
            folder.append(rows)
        progress.update(report, [row["phase"] for row in rows])

    try:
        if workers == 1:
            train_here(plan, jobs(), folder, take, f"rank_{ranks.rank}")
        else:
            train_in_processes(plan, jobs(), folder, take, workers, f"rank_{ranks.rank}")
    finally:
        progress.close()


def compiling_pays(plan: Plan, steps: float) -> bool:
    """Whether compiling the first run's network pays off for this many member-steps per worker."""
    many, much = COMPILING_PAYS
    if steps > many:
        return True
    member = MemberBuilder().build(0, plan.grid.settings(plan.base, plan.grid.cell(0)), plan.grid.seeds[0])
    weights = sum(parameter.numel() for parameter in member.module.parameters())
    return 6 * member.batch_size * weights * steps > much


def kinds_together(plan: Plan, cells: Iterable[int]) -> Iterable[int]:
    """Order the cells so that those of the same kind, whatever their seed, are consecutive.

    A batch holds one kind and ends after the last consecutive cell of that kind.
    """
    if not plan.dividing:
        return cells
    axes = list(plan.grid.axes)
    dividing = [(axes.index(axis), plan.grid.axes[axis]) for axis in plan.dividing]

    def positions(index: int) -> list[int]:
        given = plan.grid.cell(index).values
        return [values.index(given[place]) for place, values in dividing]

    return sorted(cells, key=positions)
