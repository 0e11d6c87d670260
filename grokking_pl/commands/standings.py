"""The standings of a tournament: each contender at its best cell, evaluated on seeds not used in the choice."""

import numpy as np
import pandas as pd
from rich.table import Table

from grokking_pl.commands.tables import print_table
from grokking_pl.experiments import Grid
from grokking_pl.experiments.grid import CONTENDER
from grokking_pl.metrics.standing import standing
from grokking_pl.runs.diagram_folder import DiagramFolder, value_text


def standings(runs: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """A table with one row per contender: its best cell and the steps to the validation threshold there.

    Args:
        runs: table of a finished diagram with contenders.
        grid: grid of its runs.
    """
    steps = runs.steps_to_val.fillna(np.inf).to_numpy()
    cells = len(runs) // len(grid.seeds) // len(grid.contenders)
    by_seed = steps.reshape(len(grid.seeds), len(grid.contenders), cells)
    rows = []
    for number, contender in enumerate(grid.contenders):
        result = standing(by_seed[:, number].T)
        coordinates = grid.cell(number * cells + result.cell).values
        rows.append(
            {
                CONTENDER: contender,
                **{axis: value for axis, value in zip(grid.axes, coordinates, strict=True) if axis in grid.plane},
                "median_steps": result.steps.median,
                "low": result.steps.low,
                "high": result.steps.high,
                "confidence": result.steps.confidence,
                "reached": result.reached,
                "seeds": result.seeds,
                "tuning_median": result.tuning_median,
                "cells_reached": result.cells_reached,
            }
        )
    return pd.DataFrame(rows)


def write_standings(folder: DiagramFolder, grid: Grid) -> None:
    """Write the standings of a finished diagram to its folder."""
    table = standings(pd.read_csv(folder.table), grid)
    for axis in grid.plane:
        table[axis] = table[axis].map(value_text)
    folder.write_standings(table.replace(np.inf, np.nan).to_csv(index=False))


def print_standings(folder: DiagramFolder, grid: Grid) -> None:
    """Print the standings in a folder."""
    table = Table(box=None, padding=(0, 2))
    for column in (CONTENDER, "best cell", "steps", "interval", "reached"):
        table.add_column(column, no_wrap=column == CONTENDER)
    rows = pd.read_csv(folder.standings, dtype=dict.fromkeys(grid.plane, str)).to_dict("records")
    names = _short_names([grid.label_of(axis) for axis in grid.plane])
    for values in rows:
        cell = ", ".join(f"{name} {values[axis]}" for name, axis in zip(names, grid.plane, strict=True))
        interval = f"{_steps(values['low'])} to {_steps(values['high'])}"
        reached = f"{values['reached']} of {values['seeds']}"
        table.add_row(str(values[CONTENDER]), cell, _steps(values["median_steps"]), interval, reached)
    tuning = len(grid.seeds) - rows[0]["seeds"]
    how = f"cells chosen by {tuning} other{'s' * (tuning > 1)}" if tuning else "which chose the cells, too"
    print(
        f"steps to the validation threshold: median over {rows[0]['seeds']} seed{'s' * (rows[0]['seeds'] > 1)}, {how}; "
        f"interval of {rows[0]['confidence']:.0%}"
    )
    print_table(table)


def _short_names(labels: list[str]) -> list[str]:
    """Hyperparameters without their paths, if unambiguous."""
    last = [label.rpartition(".")[2] for label in labels]
    return last if len(set(last)) == len(last) else labels


def _steps(value: float) -> str:
    return "never" if np.isnan(value) else f"{value:g}"
