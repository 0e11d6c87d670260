"""Accuracy with the embeddings truncated to their first principal components, at the end and over training."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from grokking_pl.plots.curves import TRAIN_COLOUR, VAL_COLOUR
from grokking_pl.spacing import evenly_spaced

COLOUR_MAP = "viridis"
TICKS = 8


def truncated_accuracy(
    steps: Sequence[int],
    components: Sequence[int],
    train: Float[np.ndarray, "steps components"],
    val: Float[np.ndarray, "steps components"],
) -> Figure:
    """Draw both accuracies at the last step by number of components, and validation accuracies by step.

    Args:
        steps: steps of the measurements.
        components: numbers of principal components.
        train: accuracies on the training set.
        val: accuracies on the validation set.
    """
    figure = Figure(figsize=(11.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(components, train[-1], "s--", color=TRAIN_COLOUR, markersize=4, label="training")
    left.plot(components, val[-1], "o-", color=VAL_COLOUR, markersize=4, label="validation")
    left.set_title(f"step {steps[-1]}", loc="left", fontsize=10)
    left.set_xscale("log")
    chosen = evenly_spaced(len(components), TICKS)
    left.set_xticks([components[k] for k in chosen], labels=[str(components[k]) for k in chosen])
    left.minorticks_off()
    left.set(xlabel="principal components kept", ylabel="accuracy", ylim=(-0.02, 1.05))
    left.legend(loc="best")

    norm = LogNorm(min(components), max(max(components), min(components) + 1))
    for number, k in enumerate(components):
        right.plot(steps, val[:, number], color=colormaps[COLOUR_MAP](norm(k)), linewidth=1.3)
    right.set(xlabel="training step", ylabel="validation accuracy", ylim=(-0.02, 1.05), xlim=(0, max(steps[-1], 1)))
    bar = figure.colorbar(ScalarMappable(norm, COLOUR_MAP), ax=right, label="principal components kept")
    bar.set_ticks([components[k] for k in chosen], labels=[str(components[k]) for k in chosen])
    bar.minorticks_off()
    for axes in (left, right):
        axes.grid(alpha=0.2)
    return figure
