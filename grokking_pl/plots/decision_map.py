"""What a decoder makes of the plane in which two-dimensional embeddings lie (figure 2 of the paper)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes

LEAST_ROOM = 5
"""Points around a number, at least."""
NUMBER_DISTANCE = 90
"""Points between two numbers of the same class, at least."""
SYMBOL_RADIUS = 6


def draw_decision_map(
    axes: Axes,
    x: Float[np.ndarray, " columns"],
    y: Float[np.ndarray, " rows"],
    classes: Int[np.ndarray, "rows columns"],
    embeddings: Float[np.ndarray, "p 2"],
    symbols: Sequence[str],
) -> None:
    """Draw the class of each point as a colour, borders and number of its regions, and the symbols at their embeddings.

    Args:
        axes: the panel.
        x: the columns' first coordinate.
        y: the rows' second coordinate.
        classes: the decoder's class at each point.
        embeddings: the symbols' places.
        symbols: their names.
    """
    number = int(classes.max()) + 1
    # A cyclic map whose neighbours alternate in lightness: adjacent classes stay apart in grey.
    colours = colormaps["twilight"](np.linspace(0, 1, number, endpoint=False))[:, :3]
    colours = colours + (1 - colours) * np.where(np.arange(number) % 2, 0.65, 0.25)[:, None]
    half = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
    axes.imshow(colours[classes], origin="lower", extent=extent, aspect="auto", interpolation="nearest")
    depth = depths(classes)
    axes.imshow(
        np.ma.masked_greater(depth, 0), origin="lower", extent=extent, aspect="auto", cmap="gray", vmin=-1, vmax=3,
        interpolation="nearest",
    )  # fmt: skip
    # Numbers keep clear of the symbols.
    free = np.hypot((x - embeddings[:, :1])[:, None] / half[0], (y - embeddings[:, 1:])[:, :, None] / half[1]).min(0)
    room = np.minimum(depth, free / 2 - SYMBOL_RADIUS)
    for k in np.unique(classes):
        inside = np.where(classes == k, room, -np.inf)
        while inside.max() >= LEAST_ROOM:
            row, column = np.unravel_index(inside.argmax(), inside.shape)
            axes.text(x[column], y[row], str(k), fontsize=8, color="black", ha="center", va="center", style="italic")
            inside[np.hypot(*np.ogrid[-row : len(y) - row, -column : len(x) - column]) < NUMBER_DISTANCE] = -np.inf
    axes.scatter(embeddings[:, 0], embeddings[:, 1], s=150, color="white", edgecolor="black", linewidth=0.8, zorder=3)
    for name, point in zip(symbols, embeddings, strict=True):
        axes.annotate(name, point, fontsize=8, ha="center", va="center", zorder=4, fontweight="bold")
    axes.set(xlim=extent[:2], ylim=extent[2:])


def depths(classes: Int[np.ndarray, "rows columns"]) -> Int[np.ndarray, "rows columns"]:
    """How many points each point is away from a border or the map's edge, along rows and columns; 0 at a border.

    >>> depths(np.array([[1, 1, 1, 2]]))
    array([[1, 1, 0, 0]])
    """
    inner = np.ones(classes.shape, dtype=bool)
    for axis in (0, 1):
        differs = np.diff(classes, axis=axis) != 0
        here, there = (slice(None, -1), slice(1, None)) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        inner[here] &= ~differs
        inner[there] &= ~differs
    depth = np.zeros(classes.shape, dtype=int)
    for _ in range(max(classes.shape)):
        if not inner.any():
            break
        depth += inner
        padded = np.pad(inner, 1, constant_values=False)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return depth
