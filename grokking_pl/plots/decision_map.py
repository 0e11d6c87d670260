"""Decision maps of decoders of two-dimensional embeddings (figure 2 of the paper)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from grokking_pl.plots.colours import VERMILION

LEAST_ROOM = 4
"""Least distance, in grid points, of a number from other marks."""
NUMBER_DISTANCE = 90
"""Least distance, in grid points, between two numbers of the same class."""
SYMBOL_RADIUS, PAIR_RADIUS = 6, 2
PAIRS: dict[str, dict[str, Any]] = {
    "training pair": {"marker": "o", "s": 16, "color": "black", "linewidth": 0},
    "validation pair": {"marker": "D", "s": 20, "color": "white", "edgecolor": "black", "linewidth": 0.9},
    "wrong, pair or symbol with itself": {"marker": "x", "s": 34, "color": VERMILION, "linewidth": 1.5},
}
"""Markers of pairs; wrong pairs have an additional cross."""


def decision_map(arrays: Mapping[str, Any], step: int, published: tuple[float, float] | None = None) -> Figure:
    """Draw the decision map of a run, with its accuracies in the title.

    Args:
        arrays: arguments of `draw_decision_map` by name, as written by the callback ``DecisionMap``.
        step: number of updates made.
        published: training and validation accuracy of a published run, for comparison.
    """
    figure = Figure(figsize=(7, 7.4), layout="constrained")
    axes = figure.add_subplot()
    draw_decision_map(axes, **arrays)
    axes.set(xlabel="first dimension of the decoder's input", ylabel="second dimension")
    words = accuracies_in_words(arrays["train"], arrays["correct"], published)
    axes.set_title(f"step {step}\n{words}", loc="left", fontsize=10)
    draw_pair_legend(figure, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def draw_decision_map(
    axes: Axes,
    x: Float[np.ndarray, " columns"],
    y: Float[np.ndarray, " rows"],
    classes: Int[np.ndarray, "rows columns"],
    symbols: Float[np.ndarray, "p 2"],
    names: Sequence[str],
    pairs: Float[np.ndarray, "pairs 2"],
    train: Bool[np.ndarray, " pairs"],
    correct: Bool[np.ndarray, " pairs"],
) -> None:
    """Draw the classes as colours, with borders, class numbers, symbols and pairs.

    Args:
        axes: the panel.
        x: first coordinate of the columns.
        y: second coordinate of the rows.
        classes: decoder's class at each point.
        symbols: positions of the symbols, each combined with itself.
        names: names of the symbols.
        pairs: positions of the pairs.
        train: mask of the training pairs.
        correct: mask of the correct pairs.
    """
    number = int(classes.max()) + 1
    # A cyclic map whose neighbours alternate in lightness, so that adjacent classes differ in grey.
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
    # Keep numbers away from symbols and pairs.
    room = depth
    for marks, radius in ((symbols, SYMBOL_RADIUS), (pairs, PAIR_RADIUS)):
        distance = np.hypot((x - marks[:, :1])[:, None] / half[0], (y - marks[:, 1:])[:, :, None] / half[1])
        room = np.minimum(room, distance.min(0) / 2 - radius)
    for k in np.unique(classes):
        inside = np.where(classes == k, room, -np.inf)
        while inside.max() >= LEAST_ROOM:
            row, column = np.unravel_index(inside.argmax(), inside.shape)
            axes.text(x[column], y[row], str(k), fontsize=8, color="black", ha="center", va="center", style="italic")
            inside[np.hypot(*np.ogrid[-row : len(y) - row, -column : len(x) - column]) < NUMBER_DISTANCE] = -np.inf
    for style, chosen in zip(PAIRS.values(), (train, ~train, ~correct), strict=True):
        axes.scatter(pairs[chosen, 0], pairs[chosen, 1], zorder=3, **style)
    axes.scatter(symbols[:, 0], symbols[:, 1], s=150, color="white", edgecolor="black", linewidth=0.8, zorder=4)
    for name, point in zip(names, symbols, strict=True):
        # A symbol hides its pair with itself, so it takes that pair's colour.
        is_wrong = not correct[(pairs == point).all(1)].all()
        colour = VERMILION if is_wrong else "black"
        axes.annotate(name, point, fontsize=8, ha="center", va="center", zorder=5, fontweight="bold", color=colour)
    axes.set(xlim=extent[:2], ylim=extent[2:])


def draw_pair_legend(figure: Figure, **options: Any) -> None:
    """Add a legend of the pairs' markers; ``options`` are passed to ``legend``."""
    handles = [
        Line2D(
            [], [], linestyle="none", marker=style["marker"], color=style["color"], label=name,
            markeredgecolor=style.get("edgecolor", style["color"]), markersize=style["s"] ** 0.5,
        )
        for name, style in PAIRS.items()
    ]  # fmt: skip
    figure.legend(handles=handles, frameon=False, **options)


def accuracies_in_words(
    train: Bool[np.ndarray, " pairs"], correct: Bool[np.ndarray, " pairs"], published: tuple[float, float] | None = None
) -> str:
    """Format both accuracies to three digits, each with the published one if given."""
    words = []
    for number, (name, chosen) in enumerate((("training", train), ("validation", ~train))):
        beside = "" if published is None else f" (published {published[number]:.3f})"
        words.append(f"{name} accuracy {correct[chosen].mean():.3f}{beside}")
    return ", ".join(words)


def depths(classes: Int[np.ndarray, "rows columns"]) -> Int[np.ndarray, "rows columns"]:
    """The distance of each point from a border or the map's edge, along rows and columns; 0 at a border.

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
