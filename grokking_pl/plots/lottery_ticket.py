"""Initial embeddings on the principal axes of the final ones (appendix K of the paper)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from grokking_pl.plots.embeddings import COLOUR_MAP
from grokking_pl.plots.principal_axes import principal_axes


def lottery_ticket(
    initial: Float[np.ndarray, "p d"], final: Float[np.ndarray, "p d"], symbols: Sequence[str], step: int
) -> Figure:
    """Draw three panels: the initial embeddings on their own axes and on the final ones, and the final embeddings.

    Args:
        initial: embeddings before training.
        final: embeddings after training.
        symbols: name of each symbol.
        step: number of updates made.
    """
    figure = Figure(figsize=(13.5, 4.8), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, embeddings, axes, title in (
        (panels[0], initial, principal_axes(initial), "initial embeddings, own axes"),
        (panels[1], initial, principal_axes(final), "initial embeddings, final axes"),
        (panels[2], final, principal_axes(final), f"embeddings at step {step}, own axes"),
    ):
        x, y = ((embeddings - embeddings.mean(0)) @ axes.T).T
        panel.scatter(x, y, c=np.arange(len(x)), cmap=COLOUR_MAP, s=110, alpha=0.45, linewidth=0)
        for name, *point in zip(symbols, x, y, strict=True):
            panel.annotate(name, point, fontsize=7, ha="center", va="center")
        panel.set_title(title, loc="left", fontsize=10)
        panel.margins(0.1)
        panel.set_xlabel("first principal axis")
    panels[0].set_ylabel("second principal axis")
    return figure


def initial_excess(initial: Float[np.ndarray, "p d"], final: Float[np.ndarray, "p d"]) -> float:
    """The initial embeddings' variance along the two final axes, relative to that along two average axes."""
    centred = initial - initial.mean(0)
    average = (centred**2).sum() * 2 / max(2, initial.shape[1])
    along = ((centred @ principal_axes(final).T) ** 2).sum()
    return float(along / average) if average else 1.0
