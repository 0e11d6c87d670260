"""``grok diagram``: a grid of runs from one configuration file to a table and a figure of their phases."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from rich.console import Console
from rich.table import Table

from grokking_pl.commands import COMMANDS, fail
from grokking_pl.errors import UserError
from grokking_pl.lightning_cli import GrokParser, find_user_error, flatten, quieten
from grokking_pl.metrics import Criterion
from grokking_pl.metrics.phases import Phase
from grokking_pl.population.criteria import PhaseCriteria
from grokking_pl.population.curves import MOST_RUNS
from grokking_pl.population.display import DiagramProgress
from grokking_pl.population.engine import Outcome
from grokking_pl.population.grid import MAX_CELLS, Cell, Grid, check_path, read_axis, set_path
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.observation import ObservationOptions
from grokking_pl.population.ranks import Ranks
from grokking_pl.population.results import DiagramFolder
from grokking_pl.population.training import Plan, State
from grokking_pl.population.workers import train_here, train_in_processes

RUNS = Path("runs/diagrams")
COMPILING_PAYS = 50_000
"""Member-steps of a worker from which on compiling, some tens of seconds, takes less time than it saves."""


def run(arguments: list[str]) -> None:
    """Run the command; mistakes end it with one line and status 2, a signal with 128 plus its number."""
    quieten()
    signal.signal(signal.SIGTERM, _stop)
    try:
        draw_diagram(build_parser().parse_args(arguments))
    except KeyboardInterrupt as interruption:
        number = interruption.args[0] if interruption.args else signal.SIGINT
        fail("stopped; the same command goes on from here", 128 + number)
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        found = find_user_error(error)
        if found is None:
            raise
        fail(str(found))


def _stop(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt(number)


def build_parser() -> LightningArgumentParser:
    """The command's options."""
    parser = GrokParser(
        prog="grok diagram",
        usage="grok diagram --config FILE [--key value ...]",
        description=COMMANDS["diagram"],
    )
    parser.add_argument("--config", action="config", help="Configuration file of the diagram.")
    parser.add_argument("--base", type=str, required=True, help="Configuration of grok fit that every run starts from.")
    parser.add_argument("--set", type=dict[str, Any], default={}, help="Hyperparameters to change in it, by path.")
    parser.add_argument(
        "--axes",
        type=dict[str, Any],
        default={},
        help="Hyperparameters to vary, by path: a list, or {scale: linear or log, low, high, n}.",
    )
    parser.add_argument("--seeds", type=list[int], default=[0], help="Seeds with which every cell is run.")
    parser.add_argument("--steps", type=int, default=10_000, help="Steps within which a phase is decided.")
    parser.add_class_arguments(PhaseCriteria, "phase")
    parser.add_class_arguments(ObservationOptions, "observe")
    parser.add_argument("--folder", type=Path | None, help="Folder; by default runs/diagrams/ and the config's name.")
    parser.add_argument("--places", type=int | None, help="Members per batch; by default as many as caches hold.")
    parser.add_argument(
        "--workers", type=int | None, help="Training processes of each of these; by default one a core."
    )
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, or auto.")
    parser.add_argument("--devices", type=int | None, help="Processes a node that share the runs; on GPUs one each.")
    parser.add_argument("--num_nodes", type=int | None, help="Number of nodes.")
    parser.add_argument("--compile", type=bool | None, help="Compile the step; by default where it pays.")
    parser.add_argument("--checkpoint_seconds", type=float, default=30.0, help="Time between two checkpoints.")
    return parser


def draw_diagram(config: Namespace) -> None:
    """Train every run of the diagram that has not ended, and draw its phases.

    Raises:
        UserError: a setting is wrong.
    """
    files = [Path(str(file)) for file in config.config or []]
    grid, base = read_grid(config, files)
    criteria = PhaseCriteria(**vars(config.phase))
    observe = _read_observation(config.observe)
    if config.steps < 1:
        raise UserError(f"steps is {config.steps}; it must be at least 1")
    path = Path(config.folder or RUNS / (files[0].stem if files else "diagram"))
    folder = DiagramFolder(path, grid, criteria.delay)
    description = {
        "base": base,
        "axes": grid.axes,
        "seeds": grid.seeds,
        "steps": config.steps,
        "phase": asdict(criteria),
        "observe": asdict(observe),
    }
    folder.claim(description)
    device = _device(config)
    if len(folder.finished()) == len(grid):
        print(f"{path} holds this diagram, finished: {len(grid)} runs", file=sys.stderr)
        if any(path.glob("runs_*.csv")):
            folder.merge()
        if not (path / "phases.png").exists():
            _draw(folder)
        return

    ranks = Ranks(device, config.devices, config.num_nodes)
    try:
        if ranks.rank == 0:
            folder.merge()
            folder.gather_states()
        ranks.wait()
        start = time.monotonic()
        plan = Plan(grid, base, criteria, observe, config.steps, ranks.device or device, config.places)
        plan = replace(plan, checkpoint_seconds=config.checkpoint_seconds, keep_curves=len(grid) <= MOST_RUNS)
        _train(config, plan, ranks, path)
        ranks.wait()
        if ranks.rank == 0:
            folder.merge()
            folder.drop_states()
            _draw(folder)
            _print_table(folder, time.monotonic() - start)
    except BaseException:
        ranks.stop()
        raise


def _train(config: Namespace, plan: Plan, ranks: Ranks, path: Path) -> None:
    """Train this process's share of the runs that are left."""
    grid = plan.grid
    folder = DiagramFolder(path, grid, plan.criteria.delay, ranks.rank)
    finished = folder.finished()
    states = folder.load_states()
    ranks.wait()  # what the others append now would change the shares
    left = len(grid) - len(finished)
    mine = set(islice(finished.left(), ranks.rank, None, ranks.size)) if ranks.size > 1 else None
    states = {index: state for index, state in states.items() if not mine or index in mine}
    share = left if mine is None else len(mine)
    if not share:
        return

    def cells() -> Iterator[tuple[Cell, State]]:
        # Members that are on their way come first: they need no places for as long.
        for index in sorted(states):
            yield grid.cell(index), states.pop(index)
            started.add(index)
        for index in finished.left() if mine is None else sorted(mine):
            if index not in started:
                yield grid.cell(index), None

    started: set[int] = set()
    workers = min(config.workers or (_cores() // ranks.local_size if plan.device == "cpu" else 1) or 1, share)
    compiled = config.compile
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
        rows = [folder.row(grid.cell(outcome.index), outcome) for outcome in outcomes]
        if rows:
            # In this order: a run whose row is missing is trained again.
            if plan.keep_curves:
                folder.append_curves((grid.cell(outcome.index), outcome) for outcome in outcomes)
            folder.append(rows)
        progress.update(member_steps, [folder.phase_of(row) for row in rows])

    try:
        if workers == 1:
            train_here(plan, cells(), folder, take, f"rank_{ranks.rank}")
        else:
            train_in_processes(plan, cells(), folder, take, workers, f"rank_{ranks.rank}")
    finally:
        progress.close()


def read_grid(config: Namespace, files: list[Path]) -> tuple[Grid, dict[str, Any]]:
    """The grid, and the settings of ``grok fit`` that its cells change; checked before any work.

    Raises:
        UserError: a file cannot be read, a path does not exist, a value is of the wrong type, or an axis is empty.
    """
    base_file = Path(config.base)
    if files and not base_file.is_absolute():
        beside = files[0].parent / base_file
        base_file = beside if beside.exists() else base_file
    try:
        given = yaml.safe_load(base_file.read_text())
    except (OSError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "it is no YAML"
        raise UserError(f"cannot read the base configuration {base_file}: {reason}") from None
    builder = MemberBuilder()
    base = builder.complete(given if isinstance(given, dict) else {})
    paths = list(flatten(base))
    for path, value in config.set.items():
        check_path(path, paths)
        set_path(base, path, value)
    if config.set:
        base = builder.complete(base)
        paths = list(flatten(base))
    if not 1 <= len(config.axes) <= 2:
        raise UserError(f"there are {len(config.axes)} axes; a diagram has one or two")
    for path in config.axes:
        check_path(path, paths)
    axes = {path: read_axis(path, given) for path, given in config.axes.items()}
    seeds = read_axis("seeds", config.seeds)
    grid = Grid(axes, seeds)
    if len(grid) > MAX_CELLS:
        raise UserError(f"the grid has {len(grid)} runs; at most {MAX_CELLS} are possible")
    # The ends of every axis are built once, so that a value that cannot be trained is known before any work.
    for path, values in axes.items():
        for value in {repr(value): value for value in (values[0], values[-1])}.values():
            settings = grid.settings(base, grid.cell(0))
            set_path(settings, path, value)
            builder.build(0, builder.complete(settings), seeds[0])
    return grid, base


def _device(config: Namespace) -> str:
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise UserError(f"the device {device} is not here: choose cpu, or cuda where there is a GPU")
    for name in ("places", "workers", "devices", "num_nodes"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}; it must be at least 1")
    return device


def _read_observation(given: Namespace) -> ObservationOptions:
    values = vars(given)
    criterion = values["criterion"]
    return ObservationOptions(**{**values, "criterion": criterion and Criterion(**vars(criterion))})


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _draw(folder: DiagramFolder) -> None:
    """Draw the figure of a finished table."""
    import pandas as pd  # with matplotlib, seconds to import

    from grokking_pl.plots.diagram import phase_diagram

    figure = phase_diagram(pd.read_csv(folder.table), list(folder.grid.axes))
    for ending in ("png", "svg"):
        figure.savefig(folder.path / f"phases.{ending}", dpi=150)


def _print_table(folder: DiagramFolder, seconds: float) -> None:
    phases = folder.finished().phases
    table = Table(show_header=False, box=None, padding=(0, 2))
    for phase in map(str, Phase):
        table.add_row(phase, str(phases[phase]))
    table.add_row("seconds", f"{seconds:.1f}")
    table.add_row("table", str(folder.table))
    table.add_row("figure", str(folder.path / "phases.png"))
    Console(soft_wrap=True).print(table)
