"""Diagrams with one axis: steps to both thresholds against a hyperparameter, with the phases as background."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from grokking_pl.metrics.crossings import STEPS_COLUMN
from grokking_pl.metrics.phases import Phase
from grokking_pl.metrics.quartiles import quartiles
from grokking_pl.plots.axis_labels import axis_labels, paths_in_words
from grokking_pl.plots.captions import add_caption
from grokking_pl.plots.curves import TRAIN_COLOUR, VAL_COLOUR
from grokking_pl.plots.phases import PHASE_COLOURS
from grokking_pl.plots.step_ticks import label_steps
from grokking_pl.plots.theory import THEORY_COLOUR

NEVER_HEIGHTS = {"train": 0.7, "val": 0.3}
"""Heights of the two thresholds in the row of runs that never reached them."""
LOGARITHMIC = 30
"""Ratio of largest to smallest positive value above which an axis is logarithmic."""


def axis_curves(
    runs: pd.DataFrame, axis: str, labels: Mapping[str, str] = {}, marks: Mapping[str, float] = {}
) -> Figure:
    """Draw the median steps to each threshold along an axis, with quartiles and individual runs.

    The background has the colour of the most frequent phase among seeds, or of each of them in a tie. Runs that never
    reached a threshold, and infinite medians, are in a row of their own above the steps; the band of quartiles is
    missing where one of them is infinite.

    Args:
        runs: one row per run, with columns ``seed``, ``phase``, ``steps_to_train``, ``steps_to_val``, possibly
            ``steps_to_val_0.6`` and so on, and the axis.
        axis: column of the axis.
        labels: labels of axes, if different from their names in words.
        marks: values to mark by vertical lines, by label.
    """
    names = {str(name): match for name in runs if (match := STEPS_COLUMN.fullmatch(str(name)))}
    steps = runs[list(names)].astype(float).fillna(np.inf).clip(lower=1)
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    if np.isinf(steps[[name for name, match in names.items() if not match[2]]]).any(axis=None):
        rows = figure.add_gridspec(2, height_ratios=(1, 9))
        panel = figure.add_subplot(rows[1])
        never = figure.add_subplot(rows[0], sharex=panel)
    else:
        panel, never = figure.subplots(), None
    values, places, is_numeric, is_log = axis_places(runs[axis].unique().tolist())
    place_of = dict(zip(values, places, strict=True))
    x = runs[axis].map(place_of).to_numpy(dtype=float)
    edges = borders(places, is_log)
    panel.set_xscale("log" if is_log else "linear")
    panel.set_yscale("log")
    parts = [panel] if never is None else [panel, never]
    for part in parts:
        phases = _draw_phases(part, runs, x, places, edges)
    for name, match in names.items():
        which, level = match.groups()
        words = f"{'training' if which == 'train' else 'validation'} threshold{f' {level}' if level else ''}"
        colour = TRAIN_COLOUR if which == "train" else VAL_COLOUR
        _draw_steps(panel, x, steps[name].to_numpy(), places, colour, words, not level)
        if never is not None and not level:
            _draw_never(never, x, steps[name].to_numpy(), places, colour, NEVER_HEIGHTS[which])
    for part in parts:
        for words, value in marks.items():
            part.axvline(value, color=THEORY_COLOUR, linestyle=":", linewidth=1.5, label=words)
    finite = steps.to_numpy()[np.isfinite(steps.to_numpy())]
    low, high = float(finite.min(initial=np.inf)), float(finite.max(initial=1))
    low = min(low, high) / 1.3
    high = max(high, 2 * low) * 1.3
    panel.set(ylim=(low, high), xlim=(edges[0], edges[-1]), ylabel="steps")
    label_steps(panel.yaxis, max(low, 1), high)
    if never is not None:
        never.set(ylim=(0, 1), yticks=[0.5], yticklabels=["never"])
        never.tick_params(axis="both", which="both", length=0, labelbottom=False)
    panel.set_xlabel(axis_labels([axis], labels)[axis])
    if not is_numeric:
        panel.set_xticks(places, labels=[str(value) for value in values], rotation=20)
    patches = [Patch(facecolor=PHASE_COLOURS[phase], alpha=0.45, label=str(phase)) for phase in phases]
    handles = [*panel.get_legend_handles_labels()[0], *patches]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    add_caption(figure, "; ".join(filter(None, [spread_in_words(x), paths_in_words([axis], labels)])))
    return figure


def spread_in_words(x: Float[np.ndarray, " runs"]) -> str:
    """What the lines, bands and dots show, for runs at these places on the axis.

    >>> spread_in_words(np.array([0.0, 1.0])), spread_in_words(np.array([0.0, 0.0, 1.0]))[:45]
    ('One seed', 'Lines and circles: medians of 1 to 2 seeds; b')
    """
    counts = np.unique(x, return_counts=True)[1]
    if counts.max() == 1:
        return "One seed"
    seeds = f"{counts.max()} seeds" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()} seeds"
    return f"Lines and circles: medians of {seeds}; bands: interpolated quartiles where finite; dots: runs"


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
) -> list[Phase]:
    """Draw the most frequent phases at each value as its background, and return all that were drawn."""
    drawn = set()
    for place, left, right in zip(places, edges[:-1], edges[1:], strict=True):
        phases = most_frequent(runs.phase[x == place])
        drawn.update(phases)
        for k, phase in enumerate(phases):
            low, high = k / len(phases), (k + 1) / len(phases)
            panel.axvspan(left, right, low, high, facecolor=PHASE_COLOURS[phase], alpha=0.45, linewidth=0)
    return [phase for phase in Phase if phase in drawn]


def _draw_steps(
    panel: Axes,
    x: Float[np.ndarray, " runs"],
    steps: Float[np.ndarray, " runs"],
    places: Float[np.ndarray, " values"],
    colour: str,
    words: str,
    is_main: bool,
) -> None:
    low, middle, high = quartiles_at(places, x, steps)
    style: dict[str, Any] = {"linewidth": 2, "markersize": 6} if is_main else {"linewidth": 1, "markersize": 4}
    line, marker = ("-", "o") if is_main else ("--", "s")
    finite = np.where(np.isfinite(middle), middle, np.nan)
    panel.plot(places, finite, line, marker=marker, markerfacecolor="white", color=colour, label=words, **style)
    if is_main and len(x) > len(places):
        is_band = np.isfinite(low) & np.isfinite(high)
        panel.fill_between(places, low, high, where=is_band, color=colour, alpha=0.2, linewidth=0)
        # A band of one value has no width.
        panel.vlines(places[is_band], low[is_band], high[is_band], color=colour, alpha=0.4, linewidth=3, zorder=1)
        panel.plot(x, np.where(np.isfinite(steps), steps, np.nan), ".", color=colour, markersize=4)


def _draw_never(
    panel: Axes,
    x: Float[np.ndarray, " runs"],
    steps: Float[np.ndarray, " runs"],
    places: Float[np.ndarray, " values"],
    colour: str,
    height: float,
) -> None:
    """Draw a circle for each infinite median, and a dot where some run never reached the threshold."""
    medians, missed = never_at(places, x, steps)
    panel.plot(medians, np.full(len(medians), height), "o", color=colour, markerfacecolor="white", markersize=6)
    if len(x) > len(places):
        panel.plot(missed, np.full(len(missed), height), ".", color=colour, markersize=4)


def quartiles_at(
    places: Float[np.ndarray, " values"], x: Float[np.ndarray, " runs"], steps: Float[np.ndarray, " runs"]
) -> Float[np.ndarray, "3 values"]:
    """Lower quartile, median and upper quartile of the steps of the runs at each place (see `quartiles`).

    >>> quartiles_at(np.zeros(1), np.zeros(3), np.array([5.0, np.inf, 7.0])).tolist()
    [[6.0], [7.0], [inf]]
    """
    return np.stack([quartiles(steps[x == place]) for place in places], axis=1)


def never_at(
    places: Float[np.ndarray, " values"], x: Float[np.ndarray, " runs"], steps: Float[np.ndarray, " runs"]
) -> tuple[Float[np.ndarray, " medians"], Float[np.ndarray, " missed"]]:
    """The places with an infinite median, and those where some run never reached the threshold.

    >>> [found.tolist() for found in never_at(np.arange(2.0), np.array([0, 0, 1.0]), np.array([5, np.inf, np.inf]))]
    [[0.0, 1.0], [0.0, 1.0]]
    """
    return places[np.isinf(quartiles_at(places, x, steps)[1])], np.unique(x[np.isinf(steps)])


def most_frequent(phases: "pd.Series[str]") -> list[Phase]:
    """The most frequent phases among runs: one, or several in a tie, the best first."""
    numbers = {phase: int((phases == str(phase)).sum()) for phase in Phase}
    return [phase for phase in Phase if numbers[phase] == max(numbers.values())]
