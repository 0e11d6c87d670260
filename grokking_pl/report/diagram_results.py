"""Results of a diagram, read from its folder: grid, finished runs and curves."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokking_pl.errors import UserError
from grokking_pl.experiments import Grid
from grokking_pl.metrics.crossings import further_columns
from grokking_pl.metrics.phases import Phase
from grokking_pl.report.run_results import corrupt
from grokking_pl.runs.diagram_folder import DiagramFolder

RECORD = "diagram.json"
NO_GRID = "it does not describe a grid"
RESULTS = (
    "steps_to_train",
    "steps_to_val",
    "train_accuracy",
    "val_accuracy",
    "steps_to_rqi",
    "rqi",
    "effective_dimension",
)
MOST_RUNS = 100_000
"""Most runs that a browser can show on one page with their numbers."""
CURVES = ("step", "train_accuracy", "val_accuracy", "rqi")


@dataclass(frozen=True)
class DiagramResults:
    """The results of a diagram, finished or not.

    Args:
        path: folder of the diagram.
        grid: grid of all runs.
        steps: steps within which a phase is decided.
        criteria: options of the phases.
        runs: phase and results of each finished run, by run number; None for never and for not measured.
        curves: step, both accuracies and RQI of each finished run, by run number; empty if no curves were kept.
    """

    path: Path
    grid: Grid
    steps: int
    criteria: dict[str, Any]
    runs: dict[int, dict[str, Any]]
    curves: dict[int, dict[str, list[float | None]]]

    def place(self, index: int) -> tuple[int, int, int, int]:
        """Index of a run's contender, of its values on the first and last axis, and of its seed.

        With one axis the first index is 0; without contenders theirs is 0.
        """
        sizes = [len(values) for values in self.grid.plane.values()]
        rest, x = divmod(index, sizes[-1])
        rest, y = divmod(rest, sizes[0] if len(sizes) == 2 else 1)
        seed, contender = divmod(rest, max(1, len(self.grid.contenders)))
        return contender, y, x, seed


def read_diagram(path: Path) -> DiagramResults:
    """Read the folder of a diagram.

    Raises:
        UserError: a file is corrupt, or no run has ended.
    """
    description = read_description(path)
    try:
        grid = Grid(
            description["axes"],
            description["seeds"],
            description.get("paths", {}),
            description.get("labels", {}),
            description.get("contenders", {}),
        )
        steps, criteria = int(description["steps"]), dict(description["phase"])
        further = further_columns(criteria.get("further_thresholds"))
        empty = not len(grid)
    except (TypeError, ValueError, AttributeError):
        empty = True
    if empty or not 1 <= len(grid.plane) <= 2:
        raise corrupt(path / RECORD, NO_GRID)
    folder = DiagramFolder(path, grid.axes, grid.seeds, further=further)
    runs = _read_runs(folder, further)
    if len(runs) > MOST_RUNS:
        raise UserError(f"the diagram in {path} has {len(runs)} runs; a report can show at most {MOST_RUNS}")
    if not runs:
        raise UserError(f"no run of the diagram in {path} has ended yet: continue it with grok diagram first")
    return DiagramResults(path, grid, steps, criteria, runs, _read_curves(folder, runs))


def read_description(path: Path) -> dict[str, Any]:
    """The description of a diagram: base, axes, seeds, steps and options of the phases.

    Raises:
        UserError: the file is corrupt.
    """
    record = path / RECORD
    try:
        description = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise corrupt(record, "not valid JSON") from None
    if not isinstance(description, dict) or not {"axes", "seeds", "steps", "phase"} <= {*description}:
        raise corrupt(record, NO_GRID)
    return description


def _read_runs(folder: DiagramFolder, further: list[str]) -> dict[int, dict[str, Any]]:
    runs: dict[int, dict[str, Any]] = {}
    phases = set(map(str, Phase))
    for index, row, _ in folder.rows("runs", folder.columns):
        named = dict(zip(folder.columns, row, strict=True))
        if named["phase"] not in phases:
            raise corrupt(folder.table, f"unknown phase {named['phase']!r}")
        runs[index] = {"phase": named["phase"], **{name: _number(named[name]) for name in (*RESULTS, *further)}}
    return runs


def _read_curves(folder: DiagramFolder, runs: dict[int, dict[str, Any]]) -> dict[int, dict[str, list[float | None]]]:
    points: dict[int, dict[float, list[float | None]]] = {}
    for index, row, _ in folder.rows("curves", folder.curve_columns):
        if index in runs:
            named = dict(zip(folder.curve_columns, row, strict=True))
            point = [_number(named[name]) for name in CURVES]
            points.setdefault(index, {})[float(named["step"])] = point
    curves = {index: [by_step[step] for step in sorted(by_step)] for index, by_step in points.items()}
    return {
        index: {name: list(column) for name, column in zip(CURVES, zip(*rows, strict=True), strict=True)}
        for index, rows in curves.items()
    }


def _number(text: str) -> float | None:
    value = float(text) if text else math.nan
    return float(f"{value:.5g}") if math.isfinite(value) else None
