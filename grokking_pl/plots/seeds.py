"""Runs with different seeds: a quantity over steps with its spread, and steps against a setting (figure 7)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from grokking_pl.plots.curves import TRAIN_COLOUR, VAL_COLOUR
from grokking_pl.plots.theory import BAND_COLOUR, REFERENCE_COLOUR, THEORY_COLOUR

MOST_LINES = 5
"""Most seeds with individual curves."""


def draw_over_seeds(axes: Axes, curves: pd.DataFrame, name: str, marks: Mapping[str, float] = {}) -> None:
    """Draw the mean over seeds of a quantity at each step, with a band of one standard deviation on both sides.

    Args:
        axes: the panel.
        curves: columns seed, step and the quantity; steps missing for some seeds are left out.
        name: column of the quantity.
        marks: steps to mark by vertical lines, by label; infinite ones are left out.
    """
    table = curves.pivot(index="step", columns="seed", values=name).dropna()
    steps, mean, spread = table.index.to_numpy(), table.mean(axis=1), table.std(axis=1, ddof=0)
    seeds = table.shape[1]
    if seeds <= MOST_LINES:
        axes.plot(steps, table.to_numpy(), color="#aaaaaa", linewidth=0.7)
    if seeds > 1:
        low, high = mean - spread, mean + spread
        axes.fill_between(steps, low, high, color=BAND_COLOUR, alpha=0.35, linewidth=0, label="standard deviation")
    label = f"mean of {seeds} seeds" if seeds > 1 else f"seed {table.columns[0]}"
    axes.plot(steps, mean, color=THEORY_COLOUR, linewidth=2, label=label)
    for (words, step), colour in zip(marks.items(), (TRAIN_COLOUR, VAL_COLOUR), strict=False):
        if np.isfinite(step):
            axes.axvline(step, color=colour, linestyle="--", linewidth=1, label=words)
    axes.set(xlabel="training step")
    axes.grid(alpha=0.2)
    axes.legend(loc="lower left", fontsize=8)


def steps_by(runs: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Medians over seeds, for each value of a setting, of the steps to both thresholds and of their difference.

    Never counts as longer than all others, so medians can be infinite.

    Args:
        runs: one row per run, with columns seed, steps_to_train, steps_to_val and the setting.
        setting: column of the setting.

    Returns:
        Columns steps_to_train, steps_to_val and difference, one row per value.

    >>> runs = pd.DataFrame({"a": [0, 0, 0], "steps_to_train": [1.0, 2.0, 3.0], "steps_to_val": [9.0, 4.0, np.nan]})
    >>> steps_by(runs, "a").loc[0].tolist()
    [2.0, 9.0, 8.0]
    """
    steps = runs[["steps_to_train", "steps_to_val"]].astype(float).fillna(np.inf)
    difference = np.where(np.isinf(steps.steps_to_val), np.inf, steps.steps_to_val - steps.steps_to_train)
    return steps.assign(difference=difference).groupby(runs[setting]).median()


def draw_steps_by(axes: Axes, runs: pd.DataFrame, setting: str, label: str, threshold: float) -> None:
    """Draw the medians of `steps_by`, and each run as a point, without runs that never crossed.

    Args:
        axes: the panel.
        runs: table as for `steps_by`.
        setting: column for the horizontal axis.
        label: label of the setting.
        threshold: accuracy threshold.
    """
    medians = steps_by(runs, setting).replace(np.inf, np.nan)
    middle = " (median)" if len(runs) > len(medians) else ""
    for name, style, colour, words in (
        ("steps_to_train", "s--", TRAIN_COLOUR, f"training accuracy ≥ {threshold:g}"),
        ("steps_to_val", "o-", VAL_COLOUR, f"validation accuracy ≥ {threshold:g}"),
        ("difference", "^:", REFERENCE_COLOUR, "difference"),
    ):
        axes.plot(medians.index, medians[name], style, color=colour, label=f"{words}{middle}")
        if name in runs:
            axes.plot(runs[setting], runs[name], style[0], color=colour, markersize=3, alpha=0.5)
    axes.set_yscale("symlog", linthresh=10)
    axes.set(xlabel=label, ylabel="training steps", ylim=(0, None))
    axes.grid(alpha=0.2)
    axes.legend(fontsize=8)
