"""A grid of runs: axes of hyperparameters, and the settings of ``grok fit`` at each of its cells."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grokking_pl.errors import UserError
from grokking_pl.experiments.settings import Settings, set_value

MAX_CELLS = 10**6


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Args:
        index: its number in the grid.
        values: its coordinate on each axis.
        seed: what ``seed_everything`` is for a single run.
    """

    index: int
    values: tuple[Any, ...]
    seed: int


@dataclass(frozen=True)
class Grid:
    """All runs of a diagram.

    Args:
        axes: the values of each hyperparameter, by its path as on the command line of ``grok fit``.
        seeds: every cell is run with each.
    """

    axes: dict[str, list[Any]]
    seeds: list[int]

    def __len__(self) -> int:
        return len(self.seeds) * math.prod(len(values) for values in self.axes.values())

    def cell(self, index: int) -> Cell:
        """The cell of a number; the last axis changes fastest, the seed slowest."""
        values, rest = [], index
        for axis in reversed(self.axes.values()):
            rest, position = divmod(rest, len(axis))
            values.append(axis[position])
        return Cell(index, tuple(reversed(values)), self.seeds[rest])

    def cells(self) -> Iterator[Cell]:
        """All cells, one at a time, in the order of their numbers."""
        return (self.cell(index) for index in range(len(self)))

    def settings(self, base: Settings, cell: Cell) -> Settings:
        """The settings of a cell: those of the base, with the cell's coordinates put in."""
        settings = copy.deepcopy(base)
        for path, value in zip(self.axes, cell.values, strict=True):
            set_value(settings, path, value)
        return settings


def read_axis(path: str, given: Any) -> list[Any]:
    """The values of an axis: a list, or ``{scale: linear or log, low: ..., high: ..., n: ...}``.

    Raises:
        UserError: it is empty, holds a value twice, or its range is none.

    >>> read_axis("model.decoder.lr", {"scale": "log", "low": 0.01, "high": 1, "n": 3})
    [0.01, 0.1, 1.0]
    """
    if isinstance(given, Mapping):
        given = _range(path, dict(given))
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise UserError(f"the axis {path} is {given!r}; give a list, or {{scale: log, low: ..., high: ..., n: ...}}")
    if not given:
        raise UserError(f"the axis {path} is empty; give at least one value")
    if len({repr(value) for value in given}) < len(given):
        raise UserError(f"the axis {path} holds a value twice: {list(given)}")
    return list(given)


def _range(path: str, given: dict[str, Any]) -> list[float]:
    expected = {"scale", "low", "high", "n"}
    if set(given) != expected:
        wrong = ", ".join(sorted(set(given) ^ expected))
        raise UserError(f"the axis {path} needs exactly scale, low, high and n; look at {wrong}")
    scale, low, high, n = (given[name] for name in ("scale", "low", "high", "n"))
    if scale not in ("linear", "log"):
        raise UserError(f"the axis {path} has the scale {scale!r}; it must be linear or log")
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise UserError(f"the axis {path} has n = {n!r}; it must be a whole number of at least 1")
    try:
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        raise UserError(f"the axis {path} runs from {low!r} to {high!r}; both must be numbers") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"the axis {path} runs from {low:g} to {high:g}; low must be below high, and both finite")
    if scale == "log":
        if low <= 0:
            raise UserError(f"the axis {path} is logarithmic and begins at {low:g}; it must begin above 0")
        return list(map(float, 10 ** np.linspace(math.log10(low), math.log10(high), n)))
    return list(map(float, np.linspace(low, high, n)))
