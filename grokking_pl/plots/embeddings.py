"""Embeddings in the plane of their first two principal components, by step (figures 1 and 2 of the paper)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokking_pl.plots.principal_axes import principal_components
from grokking_pl.spacing import evenly_spaced

PANELS = 12
COLOUR_MAP = "viridis"


def embedding_panels(
    steps: Sequence[int], embeddings: Float[np.ndarray, "n p d"], symbols: Sequence[str], fixed_axes: bool = False
) -> Figure:
    """Draw one panel per snapshot, at most twelve, with each symbol at its first two principal components.

    One-dimensional embeddings are drawn as curves over steps instead.
    """
    if embeddings.shape[2] == 1:
        return _lines(steps, embeddings[:, :, 0], symbols)
    points, explained = principal_components(embeddings, fixed_axes)
    chosen = evenly_spaced(len(steps), PANELS)
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(2.8 * columns, 3.0 * rows), layout="constrained")
    figure.subplots(rows, columns, squeeze=False)
    for axes, which in zip(figure.axes, chosen, strict=False):
        draw_points(axes, points[which], symbols, f"step {steps[which]} · {explained[which]:.0%} of variance")
    for axes in figure.axes[len(chosen) :]:
        axes.axis("off")
    figure.supxlabel("first principal component")
    figure.supylabel("second principal component")
    return figure


def embedding_film(
    steps: Sequence[int],
    embeddings: Float[np.ndarray, "n p d"],
    symbols: Sequence[str],
    fixed_axes: bool,
    path: Path,
) -> None:
    """Write the snapshots as an animation: GIF or MP4, by the suffix of the path."""
    points, explained = principal_components(embeddings, fixed_axes)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    size = np.abs(points).max() * 1.1 or 1.0

    def frame(which: int) -> list[Artist]:
        axes.clear()
        draw_points(axes, points[which], symbols, f"step {steps[which]} · {explained[which]:.0%} of variance")
        axes.set(xlim=(-size, size), ylim=(-size, size))
        return []

    writer = PillowWriter(fps=5) if path.suffix == ".gif" else FFMpegWriter(fps=5)
    FuncAnimation(figure, frame, frames=len(steps), blit=False).save(str(path), writer=writer)


def draw_points(axes: Axes, points: Float[np.ndarray, "p 2"], symbols: Sequence[str], title: str = "") -> None:
    """Draw each symbol at its point, with its name."""
    axes.scatter(points[:, 0], points[:, 1], c=np.arange(len(points)), cmap=COLOUR_MAP, s=26, alpha=0.55, linewidth=0)
    for name, (x, y) in zip(symbols, points, strict=True):
        # Within the axes, so the layout need not measure it, which takes most of the time of drawing.
        axes.annotate(name, (x, y), fontsize=7, ha="center", va="center", in_layout=False)
    axes.set_title(title, fontsize=9)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=7)
    axes.margins(0.12)


def _lines(steps: Sequence[int], values: Float[np.ndarray, "n p"], symbols: Sequence[str]) -> Figure:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    colours = colormaps[COLOUR_MAP](np.linspace(0, 0.95, len(symbols)))
    for k, name in enumerate(symbols):
        axes.plot(steps, values[:, k], color=colours[k], marker=".", markersize=4)
        axes.annotate(
            name, (steps[-1], values[-1, k]), xytext=(4, 0), textcoords="offset points", fontsize=8, va="center"
        )
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set(xlabel="training step", ylabel="embedding $E_k$", xlim=(0, None))
    axes.grid(alpha=0.2)
    return figure
