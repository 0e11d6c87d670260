"""Accuracy curves of one run, with the threshold crossings and the phase."""

from typing import Any

import numpy as np
from jaxtyping import Float, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokking_pl.metrics.phases import Phase
from grokking_pl.plots.colours import VERMILION
from grokking_pl.plots.phases import PHASE_COLOURS

TRAIN_COLOUR, VAL_COLOUR = "#222222", VERMILION
PUBLISHED_STYLE: dict[str, Any] = {
    "linestyle": "none", "marker": "D", "markersize": 8, "markerfacecolor": "none", "markeredgecolor": VAL_COLOUR,
    "markeredgewidth": 0.9, "label": "published run",
}  # fmt: skip
"""Hollow, so that our point is visible inside it."""


def accuracy_curves(
    steps: Real[np.ndarray, " evaluations"],
    train_accuracy: Float[np.ndarray, " evaluations"],
    val_accuracy: Float[np.ndarray, " evaluations"],
    steps_to_train: int | None,
    steps_to_val: int | None,
    thresholds: tuple[float, float],
    phase: Phase,
) -> Figure:
    """Draw training and validation accuracy over steps, on a logarithmic axis starting at step 1.

    The initial network, step 0, is at the left edge.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    draw_accuracy_curves(axes, steps, train_accuracy, val_accuracy, steps_to_train, steps_to_val, thresholds, phase)
    axes.set_title(f"phase: {phase}", loc="left", fontweight="bold")
    return figure


def draw_accuracy_curves(
    axes: Axes,
    steps: Real[np.ndarray, " evaluations"],
    train_accuracy: Float[np.ndarray, " evaluations"],
    val_accuracy: Float[np.ndarray, " evaluations"],
    steps_to_train: int | None,
    steps_to_val: int | None,
    thresholds: tuple[float, float],
    phase: Phase,
) -> None:
    """Draw the curves in a panel."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    for accuracy, colour, style, name in (
        (train_accuracy, TRAIN_COLOUR, "--", "training"),
        (val_accuracy, VAL_COLOUR, "-", "validation"),
    ):
        axes.plot(steps, accuracy, style, color=colour, label=f"{name} accuracy")
    for step, threshold, colour, name in (
        (steps_to_train, thresholds[0], TRAIN_COLOUR, "training"),
        (steps_to_val, thresholds[1], VAL_COLOUR, "validation"),
    ):
        if step is not None:
            axes.axvline(step, color=colour, linewidth=0.8, alpha=0.6)
            label = f"{name} accuracy ≥ {threshold:g} at step {step}"
            axes.plot(step, threshold, "o", color=colour, markersize=7, label=label)
    if steps_to_train is not None and steps_to_val is not None and steps_to_val > steps_to_train:
        axes.axvspan(steps_to_train, steps_to_val, color=PHASE_COLOURS[phase], alpha=0.25, linewidth=0)
    axes.set(xlabel="training step", ylabel="accuracy", ylim=(-0.02, 1.05), xlim=(0, max(steps[-1], 1)))
    axes.grid(alpha=0.2)
    axes.legend(loc="best", frameon=True)
