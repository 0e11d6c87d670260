"""Grids of runs: axes of hyperparameters, and the `grok fit` settings of each cell."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grokking_pl.errors import UserError
from grokking_pl.experiments.settings import Settings, set_value
from grokking_pl.runs.diagram_folder import CURVE_COLUMNS, RESULT_COLUMNS, value_text

MAX_CELLS = 10**6

CONTENDER = "contender"
"""Name of the axis of a tournament's contenders, and of its column in tables."""


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Args:
        index: number of the cell in the grid.
        values: coordinate on each axis.
        seed: the run's ``seed_everything``.
    """

    index: int
    values: tuple[Any, ...]
    seed: int


@dataclass(frozen=True)
class Grid:
    """The runs of a diagram.

    Args:
        axes: values on each axis, by name: the name of a setting on the command line of `grok fit`, or a short name for
            several settings. Contenders are an axis too, the first.
        seeds: seeds of each cell.
        paths: settings set by each axis with a short name.
        labels: labels of axes in figures and reports, if different from their names.
        contenders: settings changed by each contender of a tournament, by name.
    """

    axes: dict[str, list[Any]]
    seeds: list[int]
    paths: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    contenders: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.seeds) * math.prod(len(values) for values in self.axes.values())

    def cell(self, index: int) -> Cell:
        """The cell with this number; the last axis changes fastest, the seed slowest."""
        values, rest = [], index
        for axis in reversed(self.axes.values()):
            rest, position = divmod(rest, len(axis))
            values.append(axis[position])
        return Cell(index, tuple(reversed(values)), self.seeds[rest])

    def cells(self) -> Iterator[Cell]:
        """Iterate over all cells in order."""
        return (self.cell(index) for index in range(len(self)))

    def settings(self, base: Settings, cell: Cell) -> Settings:
        """The settings of a cell: those of the base with the cell's coordinates."""
        settings = copy.deepcopy(base)
        for axis, value in zip(self.axes, cell.values, strict=True):
            if axis == CONTENDER:
                for path, change in self.contenders[value].items():
                    set_value(settings, path, change)
                continue
            for path in self.paths_of(axis):
                set_value(settings, path, value)
        return settings

    def paths_of(self, axis: str) -> list[str]:
        """The settings set by an axis."""
        if axis == CONTENDER:
            return list(dict.fromkeys(path for changes in self.contenders.values() for path in changes))
        return self.paths.get(axis, [axis])

    @property
    def plane(self) -> dict[str, list[Any]]:
        """The one or two axes of hyperparameters, without the contenders."""
        return {axis: values for axis, values in self.axes.items() if axis != CONTENDER}

    def label_of(self, axis: str) -> str:
        """The label of an axis, by default its name."""
        return self.labels.get(axis, axis)


def read_grid(axes: Mapping[str, Any], seeds: Any, contenders: Mapping[str, Any] = {}) -> Grid:
    """Read a grid from the axes and seeds of a diagram's configuration.

    Args:
        axes: axes by name, as for `read_axis`; an axis may also be ``{paths: [...], label: ..., ...}``, whose name is
            then only that of the column. Its values are given by ``values``, or by a scale with low, high and n.
        seeds: list of seeds.
        contenders: settings changed by each contender, by name; empty without contenders.

    Raises:
        UserError: an axis is invalid, two axes set the same setting or have the same label, a seed is invalid, or there
            is only one contender.
    """
    if not isinstance(axes, Mapping) or not 1 <= len(axes) <= 2:
        raise UserError(f"there are {len(axes) if axes else 0} axes; a diagram has one or two")
    values: dict[str, list[Any]] = {CONTENDER: _names_of_contenders(contenders)} if contenders else {}
    paths, labels = {}, {}
    for name, given in axes.items():
        _check_axis_name(name)
        rest = dict(given) if isinstance(given, Mapping) else given
        if isinstance(rest, dict):
            if "paths" in rest:
                paths[name] = _texts(name, "paths", rest.pop("paths"))
            if "label" in rest:
                labels[name] = _texts(name, "label", [rest.pop("label")])[0]
            rest = rest["values"] if set(rest) == {"values"} else rest
        values[name] = read_axis(name, rest)
    grid = Grid(values, _read_seeds(seeds), paths, labels, {name: dict(given) for name, given in contenders.items()})
    _check_that_axes_differ(grid)
    if len(grid) > MAX_CELLS:
        raise UserError(f"the grid has {len(grid)} runs; at most {MAX_CELLS} are possible")
    return grid


def _names_of_contenders(given: Mapping[str, Any]) -> list[str]:
    if len(given) < 2:
        raise UserError(f"there is one contender, {next(iter(given))}; give at least two, one of them the control")
    for name, changes in given.items():
        if not isinstance(changes, Mapping):
            raise UserError(f"the contender {name} is {changes!r}; give the settings that it changes, by path, or {{}}")
    return list(given)


def _check_axis_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise UserError(f"an axis has the name {name!r}; give the path of a hyperparameter, or a short name with paths")
    if name in (CONTENDER, *RESULT_COLUMNS, *CURVE_COLUMNS):
        raise UserError(f"an axis has the name {name}, which is a column of the results: choose another name")


def _check_that_axes_differ(grid: Grid) -> None:
    """Check that no axis overrides another."""
    labels = [grid.label_of(axis) for axis in grid.axes]
    if len(set(labels)) < len(labels):
        raise UserError(f"two axes have the label {labels[0]}: change one of them")
    before: list[str] = []
    for axis in grid.axes:
        for path in grid.paths_of(axis):
            if path in before:
                raise UserError(f"the axes set {path} twice: remove one of them")
            if part := next((other for other in before if other.startswith(f"{path}.")), None):
                raise UserError(f"an axis sets {path}, which includes {part}, set by an earlier axis: swap them")
            before.append(path)


def _texts(axis: str, option: str, given: Any) -> list[str]:
    if not isinstance(given, list) or not given or not all(isinstance(text, str) and text for text in given):
        raise UserError(f"the axis {axis} has {option} {given!r}; give at least one name")
    return given


def _read_seeds(given: Any) -> list[int]:
    seeds = read_axis("seeds", given)
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise UserError(f"a seed is {seed!r}; it must be a whole number from 0 to {2**32 - 1}")
    return seeds


def read_axis(path: str, given: Any) -> list[Any]:
    """The values of an axis: a list, or ``{scale: linear or log, low: ..., high: ..., n: ...}``.

    Raises:
        UserError: it is empty, has a duplicate value, or its range is invalid.

    >>> read_axis("model.decoder.lr", {"scale": "log", "low": 0.01, "high": 1, "n": 3})
    [0.01, 0.1, 1.0]
    """
    if isinstance(given, Mapping):
        given = _range(path, dict(given))
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise UserError(f"the axis {path} is {given!r}; give a list, or {{scale: log, low: ..., high: ..., n: ...}}")
    if not given:
        raise UserError(f"the axis {path} is empty; give at least one value")
    if len({value_text(value) for value in given}) < len(given):
        raise UserError(f"the axis {path} has a duplicate value: {list(given)}")
    return list(given)


def _range(path: str, given: dict[str, Any]) -> list[float]:
    expected = {"scale", "low", "high", "n"}
    if set(given) != expected:
        wrong = ", ".join(sorted(set(given) ^ expected))
        raise UserError(f"the axis {path} needs exactly scale, low, high and n, or values; check {wrong}")
    scale, low, high, n = (given[name] for name in ("scale", "low", "high", "n"))
    if scale not in ("linear", "log"):
        raise UserError(f"the axis {path} has scale {scale!r}; it must be linear or log")
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MAX_CELLS:
        raise UserError(f"the axis {path} has n = {n!r}; it must be a whole number from 1 to {MAX_CELLS}")
    try:
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        raise UserError(f"the axis {path} runs from {low!r} to {high!r}; both must be numbers") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"the axis {path} runs from {low:g} to {high:g}; low must be below high, and both finite")
    if scale == "log":
        if low <= 0:
            raise UserError(f"the axis {path} is logarithmic and starts at {low:g}; it must start above 0")
        return list(map(float, 10 ** np.linspace(math.log10(low), math.log10(high), n)))
    return list(map(float, np.linspace(low, high, n)))
