"""Diagrams with one axis: steps to both thresholds against a hyperparameter, with the phases as background."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokking_pl.metrics.phases import Phase
from grokking_pl.plots.axis_labels import axis_labels, paths_in_words
from grokking_pl.plots.captions import add_caption
from grokking_pl.plots.curves import TRAIN_COLOUR, VAL_COLOUR
from grokking_pl.plots.phases import PHASE_COLOURS
from grokking_pl.plots.theory import THEORY_COLOUR

STEPS = re.compile(r"steps_to_(train|val)(?:_([\d.e-]+))?")
LOGARITHMIC = 30
"""Ratio of largest to smallest positive value above which an axis is logarithmic."""


def axis_curves(
    runs: pd.DataFrame, axis: str, labels: Mapping[str, str] = {}, marks: Mapping[str, float] = {}
) -> Figure:
    """Draw the median steps to each threshold along an axis, with quartiles and individual runs.

    The background has the colour of the most frequent phase among seeds, or of each of them in a tie. Infinite medians,
    where at least half of the seeds never crossed the threshold, are triangles at the upper edge.

    Args:
        runs: one row per run, with columns ``seed``, ``phase``, ``steps_to_train``, ``steps_to_val``, possibly
            ``steps_to_val_0.6`` and so on, and the axis.
        axis: column of the axis.
        labels: labels of axes, if different from their names in words.
        marks: values to mark by vertical lines, by label.
    """
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    panel = figure.subplots()
    values, places, is_numeric, is_log = axis_places(runs[axis].unique().tolist())
    if is_log:
        panel.set_xscale("log")
    place_of = dict(zip(values, places, strict=True))
    x = runs[axis].map(place_of).to_numpy(dtype=float)
    edges = borders(places, is_log)
    _draw_phases(panel, runs, x, places, edges)
    names = {str(name): match for name in runs if (match := STEPS.fullmatch(str(name)))}
    steps = runs[list(names)].astype(float)
    top = 1.6 * float(np.nanmax(steps.to_numpy(), initial=2.0))
    for name, match in names.items():
        which, level = match.groups()
        words = f"{'training' if which == 'train' else 'validation'} threshold{f' {level}' if level else ''}"
        colour = TRAIN_COLOUR if which == "train" else VAL_COLOUR
        _draw_steps(panel, x, steps[name].fillna(np.inf).to_numpy(), places, top, colour, words, not level)
    for words, value in marks.items():
        panel.axvline(value, color=THEORY_COLOUR, linestyle=":", linewidth=1.5, label=words)
    panel.set_yscale("log")
    panel.set(ylim=(None, top * 1.15), xlim=(edges[0], edges[-1]), ylabel="steps")
    panel.set_xlabel(axis_labels([axis], labels)[axis])
    if not is_numeric:
        panel.set_xticks(places, labels=[str(value) for value in values], rotation=20)
    phases = [phase for phase in Phase if str(phase) in set(runs.phase)]
    patches = [Patch(facecolor=PHASE_COLOURS[phase], alpha=0.45, label=str(phase)) for phase in phases]
    never = Line2D([], [], marker="^", color="grey", markerfacecolor="none", linestyle="", label="median: never")
    handles = [*panel.get_legend_handles_labels()[0], *([never] if steps.isna().any(axis=None) else []), *patches]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    add_caption(figure, paths_in_words([axis], labels))
    return figure


class AxisPlaces(NamedTuple):
    """The values of an axis, and where they are drawn.

    Attributes:
        values: values, ascending if they are numbers.
        places: coordinate of each value: the value itself if they are numbers, or else its index.
        is_numeric: whether the values are numbers.
        is_log: whether the axis is logarithmic: its numbers are positive and span a large ratio.
    """

    values: list[Any]
    places: Float[np.ndarray, " values"]
    is_numeric: bool
    is_log: bool


def axis_places(values: Sequence[Any]) -> AxisPlaces:
    """Where to draw the values of an axis.

    >>> axis_places([10, 0.1]).values, axis_places(["SGD", "Lion"]).places.tolist()
    ([0.1, 10], [0.0, 1.0])
    """
    is_numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    ordered = sorted(values) if is_numeric else list(values)
    places = np.array(ordered if is_numeric else range(len(ordered)), dtype=float)
    is_log = is_numeric and bool(places.min() > 0 and places.max() / places.min() >= LOGARITHMIC)
    return AxisPlaces(ordered, places, is_numeric, is_log)


def borders(places: Float[np.ndarray, " values"], is_log: bool) -> Float[np.ndarray, " edges"]:
    """The borders between neighbouring values, half-way on the panel's scale, and likewise at both ends."""
    scaled = np.log(places) if is_log else places
    width = float(np.diff(scaled).min()) if len(scaled) > 1 else 1.0
    inner = (scaled[1:] + scaled[:-1]) / 2
    edges = np.array([scaled[0] - width / 2, *inner, scaled[-1] + width / 2])
    return np.exp(edges) if is_log else edges


def _draw_phases(
    panel: Axes,
    runs: pd.DataFrame,
    x: Float[np.ndarray, " runs"],
    places: Float[np.ndarray, " values"],
    edges: Float[np.ndarray, " edges"],
) -> None:
    for place, left, right in zip(places, edges[:-1], edges[1:], strict=True):
        phases = most_frequent(runs.phase[x == place])
        for k, phase in enumerate(phases):
            low, high = k / len(phases), (k + 1) / len(phases)
            panel.axvspan(left, right, low, high, facecolor=PHASE_COLOURS[phase], alpha=0.45, linewidth=0)


def _draw_steps(
    panel: Axes,
    x: Float[np.ndarray, " runs"],
    steps: Float[np.ndarray, " runs"],
    places: Float[np.ndarray, " values"],
    top: float,
    colour: str,
    words: str,
    is_main: bool,
) -> None:
    low, middle, high = quartiles(x, steps, places)
    style: dict[str, Any] = {"linewidth": 2} if is_main else {"linewidth": 1, "linestyle": "--"}
    panel.plot(places, np.where(np.isfinite(middle), middle, np.nan), color=colour, label=words, **style)
    if is_main:
        panel.fill_between(places, low, np.minimum(high, top), where=np.isfinite(low), color=colour, alpha=0.2, lw=0)
        panel.plot(x, np.where(np.isfinite(steps), steps, np.nan), ".", color=colour, markersize=4)
        never = np.isinf(middle)
        panel.plot(places[never], np.full(never.sum(), top), "^", color=colour, markerfacecolor="none", markersize=6)


def quartiles(
    x: Float[np.ndarray, " runs"], steps: Float[np.ndarray, " runs"], places: Float[np.ndarray, " values"]
) -> Float[np.ndarray, "3 values"]:
    """Lower quartile, median and upper quartile of the steps at each place; infinite where runs never crossed.

    Quartiles are values of the sample, so that infinite ones are not averaged.

    >>> quartiles(np.zeros(3), np.array([5.0, np.inf, 7.0]), np.zeros(1)).tolist()
    [[5.0], [7.0], [inf]]
    """
    return np.array(
        [
            [np.quantile(steps[x == place], q, method="higher" if q > 0.25 else "lower") for place in places]
            for q in (0.25, 0.5, 0.75)
        ]
    )


def most_frequent(phases: "pd.Series[str]") -> list[Phase]:
    """The most frequent phases among runs: one, or several in a tie, the best first."""
    numbers = {phase: int((phases == str(phase)).sum()) for phase in Phase}
    return [phase for phase in Phase if numbers[phase] == max(numbers.values())]
