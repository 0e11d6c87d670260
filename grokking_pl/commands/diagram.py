"""``grok diagram``: train a grid of runs from one configuration file, to a table and a phase diagram."""

import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from rich.table import Table

from grokking_pl.commands.base_callbacks import interventions_among, notes_on_criteria, read_contenders
from grokking_pl.commands.bundled import config_path
from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.failure import stop_on_sigterm
from grokking_pl.commands.named_files import check_config_file
from grokking_pl.commands.parser import GrokParser
from grokking_pl.commands.quiet import quieten
from grokking_pl.commands.tables import print_table
from grokking_pl.errors import UserError
from grokking_pl.experiments import Grid, Settings, read_grid
from grokking_pl.metrics import Criterion
from grokking_pl.metrics.crossings import PhaseCriteria, further_columns
from grokking_pl.metrics.phases import Phase
from grokking_pl.population.curves import MOST_RUNS
from grokking_pl.population.diagram import check_cells, find_base, read_base, settings_of, train_left
from grokking_pl.population.observation import ObservationOptions
from grokking_pl.population.ranks import Ranks
from grokking_pl.population.training import Plan
from grokking_pl.runs.diagram_folder import DiagramFolder
from grokking_pl.runs.error_log import kept_traceback
from grokking_pl.runs.files import FolderLock, remove_temporary_files, save_figure
from grokking_pl.runs.job import check_nodes, is_first_process

RUNS = Path("runs/diagrams")

MOST_STEPS = 10**8
"""Most steps of a run, limited by the memory for the points of its curves."""


def run(words: list[str]) -> None:
    """Run the command."""
    quieten()
    stop_on_sigterm()
    draw_diagram(build_parser(words[0]).parse_args(words[1:]))


def build_parser(name: str) -> LightningArgumentParser:
    """The command's options."""
    parser = GrokParser(
        prog=f"grok {name}",
        usage=f"grok {name} --config FILE [--key value ...]",
        description=COMMANDS[name].about,
    )
    parser.add_argument("--config", action="config", help="Configuration file of the diagram.")
    parser.add_argument("--base", type=str, required=True, help="Configuration of grok fit that every run starts from.")
    parser.add_argument("--set", type=dict[str, Any], default={}, help="Hyperparameters to change in it, by path.")
    parser.add_argument(
        "--axes",
        type=dict[str, Any],
        default={},
        help="Hyperparameters to vary, by path: a list, or {scale: linear or log, low, high, n}; under a short "
        "name, {paths: [...], label: ...} plus either.",
    )
    parser.add_argument(
        "--contenders",
        type=dict[str, dict[str, Any]],
        default={},
        help="Changes of each contender of a tournament, by name: hyperparameters by path, and under callbacks a "
        "list of interventions.",
    )
    parser.add_argument("--seeds", type=list[int] | None, help="Seeds of each cell; by default the base's.")
    parser.add_argument("--steps", type=int, default=10_000, help="Steps within which a phase is decided.")
    parser.add_argument(
        "--stop_when_decided",
        type=bool,
        default=True,
        help="End a run as soon as its phase is decided; false trains every run for all steps.",
    )
    parser.add_class_arguments(PhaseCriteria, "phase")
    parser.add_class_arguments(ObservationOptions, "observe")
    parser.add_argument("--folder", type=Path | None, help="Folder; by default runs/diagrams/ plus the config's name.")
    parser.add_argument("--places", type=int | None, help="Runs per batch; by default as many as fit the caches.")
    parser.add_argument("--workers", type=int | None, help="Training processes; by default one per core.")
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, or auto.")
    parser.add_argument(
        "--devices", type=int | None, help="Processes per node that share the runs; on GPUs one per GPU."
    )
    parser.add_argument("--num_nodes", type=int | None, help="Number of nodes.")
    parser.add_argument("--compile", type=bool | None, help="Compile the step; by default if it pays off.")
    parser.add_argument("--checkpoint_seconds", type=float, default=30.0, help="Seconds between checkpoints.")
    return parser


def draw_diagram(config: Namespace) -> None:
    """Train the unfinished runs of a diagram, and draw its phases.

    Raises:
        UserError: a setting is invalid.
    """
    files = [Path(str(file)) for file in config.config or []]
    base_file = Path(config_path(str(find_base(config.base, files))))
    check_config_file(base_file)
    changes = _plain(config.set)
    given = read_base(base_file)
    base, seed = settings_of(given, changes, interventions_among)
    seeds = [seed] if config.seeds is None else config.seeds
    grid = read_grid(_plain(config.axes), seeds, read_contenders(_plain(config.contenders), base))
    dividing = check_cells(grid, base, changes)
    criteria = PhaseCriteria(**vars(config.phase))
    observe = _read_observation(config.observe)
    if not 1 <= config.steps <= MOST_STEPS:
        raise UserError(f"steps is {config.steps}; it must be at least 1 and at most {MOST_STEPS}")
    if not config.checkpoint_seconds >= 0:
        raise UserError(f"checkpoint_seconds is {config.checkpoint_seconds:g}; it must be at least 0")
    if is_first_process():
        callbacks = (given.get("trainer") or {}).get("callbacks")
        for note in notes_on_criteria(callbacks, {"phase": vars(criteria), "observe": vars(observe)}):
            print(note, file=sys.stderr)
    path = Path(config.folder or RUNS / (files[0].stem if files else "diagram"))
    folder = DiagramFolder(path, grid.axes, grid.seeds, further=further_columns(criteria.further_thresholds))
    description = {
        "base": base,
        "axes": grid.axes,
        "paths": grid.paths,
        "labels": grid.labels,
        **({"contenders": grid.contenders} if grid.contenders else {}),
        "seeds": grid.seeds,
        "steps": config.steps,
        "phase": asdict(criteria) | ({} if config.stop_when_decided else {"stop_when_decided": False}),
        "observe": asdict(observe),
    }
    device = _device(config)
    plan = Plan(grid, base, criteria, observe, config.steps, device, config.places)
    plan = replace(
        plan,
        checkpoint_seconds=config.checkpoint_seconds,
        keep_curves=len(grid) <= MOST_RUNS,
        stop_when_decided=config.stop_when_decided,
        dividing=dividing,
    )
    with FolderLock(path, "--folder", is_first_process()), kept_traceback(path):
        folder.claim(description)
        _check(folder)
        if len(folder.finished()) < len(grid):
            _train(folder, plan, config)
        else:
            print(f"{path} holds this diagram, finished: {len(grid)} runs", file=sys.stderr)
            if is_first_process():
                remove_temporary_files(folder.path)
                _complete(folder, grid, base)
                _print_standings(folder, grid)


def _plain(given: Any) -> Any:
    """Convert parsed classes among values back to their configuration's dictionaries."""
    if isinstance(given, Namespace):
        given = vars(given)
    if isinstance(given, dict):
        return {name: _plain(value) for name, value in given.items()}
    return [_plain(value) for value in given] if isinstance(given, list) else given


def _check(folder: DiagramFolder) -> None:
    """Check that files of an earlier command can be read.

    Raises:
        UserError: a file is damaged.
    """
    if not is_first_process():
        return
    folder.check()
    if unknown := sorted(set(folder.finished().phases) - set(map(str, Phase))):
        raise UserError(
            f"{folder.table} is damaged (unknown phase {unknown[0]!r}): restore it from a copy, or move it away to "
            "train its runs again"
        )


def _train(folder: DiagramFolder, plan: Plan, config: Namespace) -> None:
    """Train the unfinished runs, shared among the processes of the job."""
    start = time.monotonic()
    ranks = Ranks(plan.device, config.devices, config.num_nodes)
    try:
        if ranks.rank == 0:
            remove_temporary_files(folder.path)  # of an earlier command: no other process writes before the next wait
            states = folder.states.load()
            folder.merge()
            folder.states.gather(states, folder.finished().left())
        ranks.wait()
        train_left(
            replace(plan, device=ranks.device or plan.device), ranks, folder.path, config.workers, config.compile
        )
        ranks.wait()
        if ranks.rank == 0:
            _complete(folder, plan.grid, plan.base)
            _print_table(folder, time.monotonic() - start)
            _print_standings(folder, plan.grid)
    except BaseException as error:
        ranks.stop(error)
        raise


def _complete(folder: DiagramFolder, grid: Grid, base: Settings) -> None:
    """Sort the tables of a finished diagram, draw its figure, and remove saved states.

    States are removed last: as long as there are any, the rest may be incomplete.
    """
    results = [*folder.figures, *([folder.standings] if grid.contenders else [])]
    if folder.is_tidy() and all(path.exists() for path in results):
        return
    folder.merge()
    if grid.contenders:
        from grokking_pl.commands.standings import write_standings  # imports pandas, which is slow

        write_standings(folder, grid)
    _draw(folder, grid, base)
    folder.states.drop()


def _device(config: Namespace) -> str:
    device: str = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise UserError(f"device {device} is not available: choose cpu, or cuda if there is a GPU")
    for name in ("places", "workers", "devices", "num_nodes"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}; it must be at least 1")
    check_nodes("num_nodes", config.num_nodes)
    return device


def _read_observation(given: Namespace) -> ObservationOptions:
    values = vars(given)
    criterion = values["criterion"]
    return ObservationOptions(**{**values, "criterion": criterion and Criterion(**vars(criterion))})


def _draw(folder: DiagramFolder, grid: Grid, base: Settings) -> None:
    """Draw the figure of a finished table."""
    import pandas as pd  # with matplotlib, slow to import

    from grokking_pl.commands.theory_marks import theory_marks
    from grokking_pl.plots.diagram_figure import diagram_figure

    marks = theory_marks(grid, base)
    folder.write_marks(marks)
    figure = diagram_figure(pd.read_csv(folder.table), folder.axes, grid.labels, marks)
    for path in folder.figures:
        save_figure(figure, path)


def _print_standings(folder: DiagramFolder, grid: Grid) -> None:
    if grid.contenders:
        from grokking_pl.commands.standings import print_standings

        print_standings(folder, grid)


def _print_table(folder: DiagramFolder, seconds: float) -> None:
    phases = folder.finished().phases
    table = Table(show_header=False, box=None, padding=(0, 2))
    for phase in map(str, Phase):
        table.add_row(phase, str(phases[phase]))
    table.add_row("seconds", f"{seconds:.1f}")
    table.add_row("table", str(folder.table))
    table.add_row("figure", str(folder.path / "phases.png"))
    print_table(table)
