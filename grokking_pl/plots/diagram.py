"""The phases of a grid of runs, and how many steps its two accuracies needed (figures 6 to 8 of the paper)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from grokking_pl.metrics.phases import Phase
from grokking_pl.plots.phases import PHASE_COLOURS

TICKS = 11


def phase_diagram(runs: pd.DataFrame, axes: Sequence[str]) -> Figure:
    """Draw the phase of each cell, and the median steps to both thresholds over its seeds.

    Where the seeds of a cell disagree, the cell has the colour of the most frequent phase (the better one of two that
    are as frequent) and tells its share.

    Args:
        runs: a row a run, with a column an axis, ``phase``, ``steps_to_train`` and ``steps_to_val``.
        axes: the columns of one axis, drawn to the right, or of two, the first drawn upwards.
    """
    across, up = axes[-1], axes[0] if len(axes) == 2 else None
    columns, rows = _values(runs, across), _values(runs, up) if up else [None]
    shape = (len(rows), len(columns))
    phases = np.full(shape, -1)
    share = np.ones(shape)
    steps = {name: np.full(shape, np.nan) for name in ("steps_to_train", "steps_to_val")}
    numbers = {str(phase): number for number, phase in enumerate(Phase)}
    for place, cell in runs.groupby([columns_of(runs, across, columns), columns_of(runs, up, rows)]):
        x, y = np.asarray(place, dtype=int)
        count = np.bincount([numbers[name] for name in cell.phase], minlength=len(Phase))
        phases[y, x], share[y, x] = count.argmax(), count.max() / count.sum()
        for name, values in steps.items():
            # A run that never passed counts as one that would take longer than all others.
            middle = np.median(cell[name].fillna(np.inf))
            values[y, x] = middle if np.isfinite(middle) else np.nan
    height = 3.6 if up else 1.9
    figure = Figure(figsize=(13.5, height + 0.9), layout="constrained")
    panels = figure.subplots(1, 3)
    _draw_phases(panels[0], phases, share)
    longest = max(2.0, float(np.nanmax([np.nanmax(v) if np.isfinite(v).any() else 2 for v in steps.values()])))
    for panel, (name, values) in zip(panels[1:], steps.items(), strict=True):
        panel.set_facecolor(PHASE_COLOURS[Phase.CONFUSION])
        image = panel.imshow(
            np.maximum(values, 1), norm=LogNorm(1, longest), cmap="viridis", origin="lower", aspect="auto"
        )
        figure.colorbar(image, ax=panel, label=f"{name.replace('_', ' ')} (grey: never)")
        panel.set_title(name.replace("_", " "), loc="left", fontweight="bold")
    for panel in panels:
        _label(panel.xaxis, across, columns)
        panel.tick_params(axis="x", labelrotation=45)
        if up:
            _label(panel.yaxis, up, rows)
        else:
            panel.set_yticks([])
    return figure


def columns_of(runs: pd.DataFrame, name: str | None, values: list) -> Int[np.ndarray, "runs"]:
    """The position of each run on an axis."""
    if name is None:
        return np.zeros(len(runs), dtype=int)
    position = {value: number for number, value in enumerate(values)}
    return np.array([position[value] for value in runs[name]])


def _values(runs: pd.DataFrame, name: str) -> list:
    values = runs[name].drop_duplicates()
    return sorted(values) if pd.api.types.is_numeric_dtype(values) else list(values)


def _draw_phases(axes: Axes, phases: Int[np.ndarray, "rows columns"], share: Float[np.ndarray, "rows columns"]) -> None:
    colours = ListedColormap([PHASE_COLOURS[phase] for phase in Phase])
    shown = np.ma.masked_less(phases, 0)
    axes.imshow(shown, cmap=colours, vmin=-0.5, vmax=len(Phase) - 0.5, origin="lower", aspect="auto")
    for (y, x), value in np.ndenumerate(share):
        if value < 1:
            axes.text(x, y, f"{value:.0%}", ha="center", va="center", fontsize=6)
    handles = [Patch(facecolor=PHASE_COLOURS[phase], edgecolor="grey", label=str(phase)) for phase in Phase]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=8)


def _label(axis: object, name: str, values: list) -> None:
    chosen = np.unique(np.linspace(0, len(values) - 1, min(TICKS, len(values))).round().astype(int))
    words = [f"{values[k]:.3g}" if isinstance(values[k], float) else str(values[k]) for k in chosen]
    axis.set_ticks(chosen, labels=words, fontsize=7)  # type: ignore[attr-defined]
    axis.set_label_text(name)  # type: ignore[attr-defined]
