"""Trajectories of embeddings in the effective theory and in a network (figures 4 (c) and 4 (d) of the paper)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Real
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from grokking_pl.plots.principal_axes import principal_axes
from grokking_pl.plots.theory import MARK_COLOUR

COLOUR_MAP = "viridis"


def trajectories(
    theory_steps: Real[np.ndarray, " times"],
    theory: Float[np.ndarray, "times p d"],
    network_steps: Real[np.ndarray, " snapshots"],
    network: Float[np.ndarray, "snapshots p d"],
    symbols: Sequence[str],
    predicted: float,
    measured: int | None,
) -> Figure:
    """Draw the normalised embeddings of theory and network over steps, side by side, one line per symbol.

    Embeddings of more than one dimension are projected on the first principal axis of the network's last ones, for
    theory and network alike. The two panels have separate step axes, because a network trained by Adam does not follow
    the time of a gradient flow.

    Args:
        theory_steps: time divided by the learning rate.
        theory: embeddings of the normalised flow.
        network_steps: updates made.
        network: normalised embeddings of the network.
        symbols: names of the symbols.
        predicted: 1 / (lambda_3 eta), marked in the theory's panel together with three times it; infinite for no mark.
        measured: step at which RQI crossed its threshold, marked in the network's panel; None for no mark.
    """
    axis = principal_axes(network[-1])[0]
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_trajectories(left, theory_steps, theory @ axis, symbols, "effective theory")
    draw_trajectories(right, network_steps, network @ axis, symbols, "network")
    if np.isfinite(predicted):
        marks = ((predicted, r"$n_h = 1/(\lambda_3\eta)$"), (3 * predicted, r"$3\,n_h$"))
        for step, name in marks:
            if step <= theory_steps[-1]:
                mark_step(left, step, name)
    if measured is not None:
        mark_step(right, measured, "RQI")
    left.set_ylabel("normalised embedding" + (" on its main axis" if network.shape[2] > 1 else r" $\tilde E_k$"))
    return figure


def draw_trajectories(
    axes: Axes,
    steps: Real[np.ndarray, " n"],
    values: Float[np.ndarray, "n p"],
    symbols: Sequence[str],
    title: str = "",
) -> None:
    """Draw one coordinate of each embedding over steps, one line per symbol, with its name at the end."""
    colours = colormaps[COLOUR_MAP](np.linspace(0, 0.95, values.shape[1]))
    for k, name in enumerate(symbols):
        axes.plot(steps, values[:, k], color=colours[k], linewidth=1.2)
        if len(symbols) <= 30:
            axes.annotate(
                name, (steps[-1], values[-1, k]), xytext=(3, 0), textcoords="offset points", fontsize=7, va="center"
            )
    axes.set_title(title, loc="left", fontweight="bold", fontsize=10)
    axes.set(xlabel="step", xlim=(0, max(steps[-1], 1)))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def mark_step(axes: Axes, step: float, name: str) -> None:
    """Draw a labelled vertical line at a step."""
    axes.axvline(step, color=MARK_COLOUR, linewidth=1)
    axes.annotate(
        name,
        (step, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        color=MARK_COLOUR,
        fontsize=8,
    )
