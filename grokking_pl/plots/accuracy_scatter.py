"""The accuracy that networks reach against the one their representations predict (figure 3 of the paper)."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure


def accuracy_scatter(
    predicted: Float[np.ndarray, "runs"], measured: Float[np.ndarray, "runs"], train_fraction: Float[np.ndarray, "runs"]
) -> Figure:
    """Draw measured against predicted accuracy, a point a run, coloured by its training fraction."""
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    points = axes.scatter(predicted, measured, c=train_fraction, cmap="viridis", s=40, edgecolor="white", linewidth=0.6)
    figure.colorbar(points, label="training fraction")
    axes.set(xlabel="accuracy predicted from the representation", ylabel="accuracy", xlim=(0, 1.04), ylim=(0, 1.04))
    axes.set_aspect("equal")
    axes.grid(alpha=0.2)
    return figure
