"""Phase diagrams: phases of a grid of runs, and steps to both thresholds (figures 6 to 8 of the paper)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from grokking_pl.metrics.crossings import STEPS_COLUMN
from grokking_pl.metrics.phases import Phase
from grokking_pl.plots.axis_curves import axis_curves, most_frequent
from grokking_pl.plots.axis_labels import axis_labels, paths_in_words, steps_in_words
from grokking_pl.plots.captions import add_caption
from grokking_pl.plots.phases import PHASE_COLOURS, PHASE_LETTERS
from grokking_pl.plots.step_ticks import add_step_bar

TICKS = 11
"""Most labels of an axis."""
MOST_LETTERED = 16
"""Most cells per row or column with room for letters."""


def phase_diagram(
    runs: pd.DataFrame, axes: Sequence[str], labels: Mapping[str, str] = {}, marks: Mapping[str, float] = {}
) -> Figure:
    """Draw the phase and the median steps to each threshold of every cell; with one axis, as curves.

    Where the seeds of a cell disagree, the cell has the colour of the most frequent phase and shows its fraction. In a
    tie it has the colour of the best phase and the letters of all.

    Args:
        runs: one row per run, with a column per axis, ``phase``, ``steps_to_train`` and ``steps_to_val``, and possibly
            ``steps_to_train_0.6``, ``steps_to_val_0.6`` and so on.
        axes: columns of one axis, drawn to the right, or of two, the first drawn upwards.
        labels: labels of axes, if different from their names in words.
        marks: values of a single axis to mark by lines, by label.
    """
    if len(axes) == 1:
        return axis_curves(runs, axes[0], labels, marks)
    names = [name for name in map(str, runs) if STEPS_COLUMN.fullmatch(name)]
    steps = {name: median_steps(runs, axes, name) for name in names}
    lines = len(names) // 2
    figure = Figure(figsize=(13.5, lines * 4.5), layout="constrained")
    grid = figure.subplots(lines, 3, squeeze=False)
    draw_phases(grid[0, 0], runs, axes, labels)
    draw_phase_legend(grid[0, 0], loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    for panel in grid[1:, 0]:
        panel.set_axis_off()
    panels = grid[:, 1:].ravel()
    norm = steps_norm(list(steps.values()))
    for panel, (name, values) in zip(panels, steps.items(), strict=True):
        image = draw_steps(panel, values, norm)
        add_step_bar(figure, image, panel)
        panel.set_title(steps_in_words(name), loc="left", fontweight="bold")
    for panel in panels:
        label_axes(panel, runs, axes, labels)
    add_caption(figure, paths_in_words(axes, labels))
    return figure


def median_steps(runs: pd.DataFrame, axes: Sequence[str], name: str) -> Float[np.ndarray, "rows columns"]:
    """The median steps over the seeds of each cell; nan if at least half of the seeds never crossed the threshold.

    Args:
        runs: one row per run, with a column per axis.
        axes: columns of one axis, to the right, or of two, the first upwards.
        name: column of steps.
    """
    across, up = axes[-1], axes[0] if len(axes) == 2 else None
    columns, rows = _values(runs, across), _values(runs, up) if up else [None]
    steps = np.full((len(rows), len(columns)), np.nan)
    for place, cell in runs.groupby([columns_of(runs, across, columns), columns_of(runs, up, rows)]):
        x, y = np.asarray(place, dtype=int)
        # Never counts as longer than all others.
        middle = np.median(cell[name].fillna(np.inf))
        steps[y, x] = middle if np.isfinite(middle) else np.nan
    return steps


def steps_norm(steps: Sequence[Float[np.ndarray, "rows columns"]]) -> LogNorm:
    """A common logarithmic colour scale for the steps of several panels."""
    passed = [values for values in steps if np.isfinite(values).any()]
    longest = max([2.0, *(float(np.nanmax(values)) for values in passed)])
    shortest = min([longest / 2, *(max(1.0, float(np.nanmin(values))) for values in passed)])
    return LogNorm(shortest, longest)


def draw_steps(panel: Axes, steps: Float[np.ndarray, "rows columns"], norm: LogNorm) -> AxesImage:
    """Draw the steps of each cell in a panel, with nan in grey."""
    panel.set_facecolor(PHASE_COLOURS[Phase.CONFUSION])
    return panel.imshow(np.maximum(steps, 1), norm=norm, cmap="viridis", origin="lower", aspect="auto")


def draw_phases(panel: Axes, runs: pd.DataFrame, axes: Sequence[str], names: Mapping[str, str] = {}) -> None:
    """Draw the phase of each cell in a panel: its colour, and its initial if there is room.

    Args:
        panel: axes to draw into.
        runs: one row per run, with a column per axis, and ``phase``.
        axes: columns of one axis, drawn to the right, or of two, the first drawn upwards.
        names: labels of axes, if different from their names in words.
    """
    across, up = axes[-1], axes[0] if len(axes) == 2 else None
    columns, rows = _values(runs, across), _values(runs, up) if up else [None]
    phases, share = np.full((len(rows), len(columns)), -1), np.ones((len(rows), len(columns)))
    ties: dict[tuple[int, int], str] = {}
    numbers = {str(phase): number for number, phase in enumerate(Phase)}
    for place, cell in runs.groupby([columns_of(runs, across, columns), columns_of(runs, up, rows)]):
        x, y = np.asarray(place, dtype=int)
        runs_in_phase = np.bincount([numbers[name] for name in cell.phase], minlength=len(Phase))
        phases[y, x], share[y, x] = runs_in_phase.argmax(), runs_in_phase.max() / len(cell)
        ties[y, x] = "/".join(PHASE_LETTERS[phase] for phase in most_frequent(cell.phase))
    colours = ListedColormap([PHASE_COLOURS[phase] for phase in Phase])
    shown = np.ma.masked_less(phases, 0)
    panel.imshow(shown, cmap=colours, vmin=-0.5, vmax=len(Phase) - 0.5, origin="lower", aspect="auto")
    if max(phases.shape) <= MOST_LETTERED:
        for (y, x), number in np.ndenumerate(phases):
            if number >= 0:
                phase = tuple(Phase)[number]
                word = ties[y, x] + (f"\n{share[y, x]:.0%}" if share[y, x] < 1 else "")
                dark = phase is Phase.COMPREHENSION
                panel.text(x, y, word, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    label_axes(panel, runs, axes, names)


def draw_phase_legend(panel: Axes | Figure, **options: Any) -> None:
    """Add a legend of the phases' colours and letters; ``options`` are passed to ``legend``."""
    handles = [
        Patch(facecolor=PHASE_COLOURS[phase], edgecolor="grey", label=f"{PHASE_LETTERS[phase]}  {phase}")
        for phase in Phase
    ]
    panel.legend(handles=handles, frameon=False, fontsize=8, **options)


def label_axes(panel: Axes, runs: pd.DataFrame, axes: Sequence[str], names: Mapping[str, str] = {}) -> None:
    """Set tick and axis labels of a panel; arguments as in `draw_phases`."""
    labels = axis_labels(axes, names)
    _label(panel.xaxis, labels[axes[-1]], _values(runs, axes[-1]))
    panel.tick_params(axis="x", labelrotation=45)
    if len(axes) == 2:
        _label(panel.yaxis, labels[axes[0]], _values(runs, axes[0]))
    else:
        panel.set_yticks([])


def columns_of(runs: pd.DataFrame, name: str | None, values: list[Any]) -> Int[np.ndarray, " runs"]:
    """The index of each run on an axis."""
    if name is None:
        return np.zeros(len(runs), dtype=int)
    position = {value: number for number, value in enumerate(values)}
    return np.array([position[value] for value in runs[name]])


def _values(runs: pd.DataFrame, name: str) -> list[Any]:
    values = runs[name].drop_duplicates()
    return sorted(values) if pd.api.types.is_numeric_dtype(values) else list(values)


def _label(axis: Axis, name: str, values: list[Any]) -> None:
    intervals = len(values) - 1
    least = -(-intervals // (TICKS - 1)) or 1
    # A stride that labels the last value too, if there is one that is not much longer.
    stride = next((s for s in range(least, 2 * least + 1) if intervals % s == 0), least)
    chosen = np.arange(0, len(values), stride)
    words = [f"{values[k]:.3g}" if isinstance(values[k], float) else str(values[k]) for k in chosen]
    axis.set_ticks(chosen, labels=words, fontsize=7)
    axis.set_label_text(name)
