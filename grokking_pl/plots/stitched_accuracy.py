"""Accuracy of the decoder of one step with the embeddings of another, as a map over both steps."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

COLOUR_MAP = "viridis"
MOST_NUMBERED = 16
"""Most steps with room for numbers."""


def stitched_accuracy(
    steps: Sequence[int],
    train: Float[np.ndarray, "decoders embeddings"],
    val: Float[np.ndarray, "decoders embeddings"],
) -> Figure:
    """Draw both accuracies for every pair of steps; the diagonal is the unstitched network.

    Args:
        steps: steps of decoders and embeddings.
        train: accuracies on the training set.
        val: accuracies on the validation set.
    """
    figure = Figure(figsize=(13, 6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(steps))
    for panel, accuracies, name in zip(panels, (train, val), ("training", "validation"), strict=True):
        image = panel.imshow(accuracies, vmin=0, vmax=1, cmap=COLOUR_MAP, origin="lower", aspect="auto")
        if len(steps) <= MOST_NUMBERED:
            for (row, column), accuracy in np.ndenumerate(accuracies):
                colour = "black" if accuracy > 0.6 else "white"
                panel.text(column, row, f"{accuracy:.2f}", fontsize=7, ha="center", va="center", color=colour)
        panel.set_title(f"{name} accuracy", loc="left", fontsize=10, fontweight="bold")
        panel.set_xlabel("step of the embeddings")
        shown = places if len(steps) <= MOST_NUMBERED else places[:: -(-len(steps) // MOST_NUMBERED)]
        words = [str(steps[k]) for k in shown]
        panel.set_xticks(shown, labels=words, rotation=45, fontsize=8)
        panel.set_yticks(shown, labels=words, fontsize=8)
    panels[0].set_ylabel("step of the decoder")
    figure.colorbar(image, ax=panels, label="accuracy")
    return figure
