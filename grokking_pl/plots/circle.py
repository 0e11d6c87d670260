"""Symbols on the circle of their first two principal components (figure 1 of the paper, last panel)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from grokking_pl.plots.embeddings import COLOUR_MAP


def embedding_circle(
    points: Float[np.ndarray, "p 2"], symbols: Sequence[str], frequency: int, explained: float, step: int
) -> Figure:
    """Draw each symbol at its point, joined in the order of a circle of this frequency.

    Args:
        points: first two principal components.
        symbols: name of each symbol.
        frequency: number of turns around the circle in the order of the symbols.
        explained: fraction of the variance in the two components.
        step: number of updates made.
    """
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    p = len(points)
    around = np.argsort(frequency * np.arange(p) % p, kind="stable")
    path = points[np.append(around, around[0])]
    axes.plot(path[:, 0], path[:, 1], color="#bbbbbb", linewidth=0.8, zorder=1)
    axes.scatter(points[:, 0], points[:, 1], c=np.arange(p), cmap=COLOUR_MAP, s=150, alpha=0.45, linewidth=0, zorder=2)
    for name, (x, y) in zip(symbols, points, strict=True):
        axes.annotate(name, (x, y), fontsize=8, ha="center", va="center")
    axes.set(xlabel="first principal component", ylabel="second principal component")
    axes.set_title(f"step {step} · frequency {frequency} · {explained:.0%} of variance", loc="left", fontsize=10)
    axes.margins(0.08)
    return figure
