"""Measured accuracy against the accuracy predicted from representations (figure 3 of the paper)."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokking_pl.plots.curves import PUBLISHED_STYLE


def accuracy_scatter(
    predicted: Float[np.ndarray, " runs"],
    measured: Float[np.ndarray, " runs"],
    train_fraction: Float[np.ndarray, " runs"],
) -> Figure:
    """Draw measured against predicted accuracy, one point per run, coloured by its training fraction."""
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    draw_accuracy_scatter(figure.add_subplot(), predicted, measured, train_fraction)
    return figure


def draw_accuracy_scatter(
    axes: Axes,
    predicted: Float[np.ndarray, " runs"],
    measured: Float[np.ndarray, " runs"],
    train_fraction: Float[np.ndarray, " runs"],
) -> None:
    """Draw the scatter in a panel."""
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    points = axes.scatter(predicted, measured, c=train_fraction, cmap="viridis", s=40, edgecolor="white", linewidth=0.6)
    axes.figure.colorbar(points, ax=axes, label="training fraction")
    axes.set(xlabel="accuracy predicted from the representation", ylabel="accuracy", xlim=(0, 1.04), ylim=(0, 1.04))
    axes.set_aspect("equal")
    axes.grid(alpha=0.2)


def draw_by_fraction(axes: Axes, runs: pd.DataFrame, name: str, label: str, colour: str) -> None:
    """Draw a quantity of each run against its training fraction, with the median over seeds and published values.

    Args:
        axes: the panel.
        runs: one row per run, with the columns train_fraction, ``name``, and ``name`` with the prefix ``published_``.
        name: column of the quantity.
        label: label of the quantity.
        colour: colour of our points and line.
    """
    median = runs.groupby("train_fraction")[name].median()
    axes.plot(median.index, median, "-", color=colour, linewidth=1.5, label="median over seeds")
    axes.plot(runs.train_fraction, runs[name], "o", color=colour, markersize=5, alpha=0.7, label="one run")
    axes.plot(runs.train_fraction, runs[f"published_{name}"], **PUBLISHED_STYLE)
    axes.set(xlabel="training data fraction", ylabel=label)
    axes.grid(alpha=0.2)
