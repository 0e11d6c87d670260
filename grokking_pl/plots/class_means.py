"""Class means over training, as a network learns to separate images (appendix I)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure

from grokking_pl.plots.principal_axes import principal_axes
from grokking_pl.plots.step_ticks import log_step_axis

COLOUR_MAP = "tab10"


def class_means_figure(
    steps: Sequence[int], means: Float[np.ndarray, "n classes k"], losses: Sequence[float], names: Sequence[str]
) -> Figure:
    """Draw the paths of the class means on the final principal axes, and the effective loss over steps.

    Args:
        steps: updates made, ascending.
        means: class means of the normalised representations at each step.
        losses: effective loss at each step.
        names: name of each class.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    points = means @ principal_axes(means[-1]).T
    for number, name in enumerate(names):
        colour = colormaps[COLOUR_MAP](number % 10)
        path = points[:, number]
        left.plot(path[:, 0], path[:, 1], color=colour, linewidth=1)
        left.plot(*path[0], "o", color=colour, markersize=3)
        left.annotate(name, path[-1], color=colour, ha="center", va="center", fontweight="bold")
    left.set(xlabel="first axis of the last class means", ylabel="second axis", aspect="equal")
    left.margins(0.12)
    right.plot(steps, losses, color="black")
    right.set(xlabel="step", ylabel="effective loss over same-label pairs", ylim=(0, None))
    if steps[-1] >= 100:
        log_step_axis(right, np.array(steps, dtype=float))
    return figure
