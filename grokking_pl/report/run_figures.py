"""Plotly figures of one run: curves, embeddings, spectrum and trajectories."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Real

from grokking_pl.metrics import effective_dimension, explained_variance, fourier_power
from grokking_pl.plots.curves import VAL_COLOUR
from grokking_pl.plots.principal_axes import principal_components
from grokking_pl.plots.theory import THEORY_COLOUR
from grokking_pl.report.page import GRID, INK, MUTED, log_axis, styled
from grokking_pl.report.run_results import Embeddings
from grokking_pl.spacing import evenly_spaced

MOST_NAMES = 60
"""Number of symbols above which names appear only on hover."""
MOST_LINES = 24
"""Most trajectories drawn; with more symbols, evenly spaced ones."""

ACCURACIES = {
    "train_accuracy": ("training accuracy", INK, "dash"),
    "val_accuracy": ("validation accuracy", VAL_COLOUR, "solid"),
    "rqi": ("RQI", THEORY_COLOUR, "dot"),
    "predicted_accuracy": ("accuracy predicted from the representation", MUTED, "dashdot"),
}
LOSSES = {
    "train_loss": ("training loss", INK, "dash"),
    "val_loss": ("validation loss", VAL_COLOUR, "solid"),
    "restricted_loss": ("restricted loss: key terms only, all pairs", THEORY_COLOUR, "solid"),
    "excluded_loss": ("excluded loss: without key terms, training pairs", THEORY_COLOUR, "dash"),
    "loss": ("batch loss", MUTED, "dot"),
}


def curves(
    metrics: pd.DataFrame,
    names: Mapping[str, tuple[str, str, str]],
    marks: Sequence[tuple[str, float, float, str]] = (),
) -> go.Figure | None:
    """Draw metrics over steps; None if none of them exist.

    Args:
        metrics: one row per step.
        names: label, colour and dash of each column to draw.
        marks: accuracy, step, threshold and colour of each threshold crossing.
    """
    figure = go.Figure()
    for name, (label, colour, dash) in names.items():
        if name not in metrics or not metrics[name].notna().any():
            continue
        seen = metrics.dropna(subset=name)
        line = {"color": colour, "dash": dash, "width": 2}
        figure.add_scatter(x=seen["step"].tolist(), y=seen[name].tolist(), name=label, line=line, mode="lines")
    if not figure.data:
        return None
    for which, step, threshold, colour in marks:
        figure.add_scatter(
            x=[step] * 3,
            y=[0, threshold, 1],
            name=f"{which} accuracy ≥ {threshold:g} at step {step:g}",
            mode="lines+markers",
            line={"color": colour, "width": 1},
            marker={"size": [0, 10, 0], "color": colour, "opacity": 1},
            hoverinfo="name",
        )
    return styled(figure, height=440, hovermode="x unified", xaxis=step_axis(metrics["step"]), meta={"steps": True})


def step_axis(steps: Sequence[float] | pd.Series) -> dict[str, Any]:
    """The axis of steps: logarithmic if they span a decade."""
    positive = [step for step in steps if step > 0]
    if not positive or max(positive) < 10 * min(positive):
        return {"title": {"text": "training step"}, "type": "linear"}
    return log_axis("training step", min(positive), max(positive))


def embedding_views(snapshots: Embeddings) -> dict[str, Any]:
    """The data for the slider at each step: positions of the symbols, and spectra.

    One-dimensional embeddings are drawn against the symbol's number, so that a linear structure is a straight line;
    others by their first two principal components.
    """
    embeddings = snapshots.values
    p = embeddings.shape[1]
    tensor = torch.from_numpy(embeddings)
    dimensions = effective_dimension(tensor).tolist()
    if embeddings.shape[2] == 1:
        places = np.stack([np.broadcast_to(np.arange(p), embeddings.shape[:2]), embeddings[:, :, 0]], 2)
        words = [f"step {step}" for step in snapshots.steps]
    else:
        places, explained = principal_components(embeddings, fixed_axes=False)
        words = [
            f"step {step} · {share:.0%} of variance in the plane · effective dimension {dimension:.2f}"
            for step, share, dimension in zip(snapshots.steps, explained, dimensions, strict=True)
        ]
    return {
        "steps": snapshots.steps.tolist(),
        "words": words,
        "x": _short(places[:, :, 0]),
        "y": _short(places[:, :, 1]),
        "components": _short(explained_variance(tensor).numpy()),
        "fourier": _short(fourier_power(tensor).numpy()) if p > 2 else [],
    }


def embedding_map(snapshots: Embeddings, views: Mapping[str, Any]) -> go.Figure:
    """Draw the embeddings at the last step; ``page.js`` sets the axis ranges."""
    one = snapshots.values.shape[2] == 1
    count = len(snapshots.symbols)
    figure = go.Figure(
        go.Scatter(
            x=views["x"][-1],
            y=views["y"][-1],
            mode="markers+text" if count <= MOST_NAMES else "markers",
            text=snapshots.symbols,
            textposition="top center",
            marker={
                "color": list(range(count)),
                "colorscale": "Viridis",
                "size": 11,
                "line": {"color": MUTED, "width": 1},
            },
            hovertemplate="%{text}: (%{x:.3g}, %{y:.3g})<extra></extra>",
        )
    )
    axes: dict[str, Any] = {
        f"{name}axis": {"title": {"text": title}}
        for name, title in zip(
            "xy",
            ("symbol k", "embedding E<sub>k</sub>")
            if one
            else ("first principal component", "second principal component"),
            strict=True,
        )
    }
    if not one:
        axes["yaxis"] |= {"scaleanchor": "x"}
    return styled(figure, height=460, showlegend=False, **axes)


def spectrum_bars(shares: Sequence[Sequence[float]], steps: Sequence[int], title: str) -> go.Figure:
    """Draw the fractions at the first step and at the last, which the slider changes."""
    places = list(range(1, len(shares[0]) + 1))
    figure = go.Figure(
        [
            go.Bar(x=places, y=shares[0], name=f"step {steps[0]}", marker={"color": GRID, "line": {"color": MUTED}}),
            go.Bar(x=places, y=shares[-1], name=f"step {steps[-1]}", marker={"color": VAL_COLOUR}),
        ]
    )
    return styled(
        figure,
        height=340,
        barmode="group",
        xaxis={"title": {"text": title}, "tickformat": "d"},
        yaxis={"title": {"text": "share"}, "range": [0, 1.02 * max(map(max, shares))]},
    )


def trajectories(
    steps: Real[np.ndarray, " n"],
    values: Float[np.ndarray, "n p"],
    symbols: Sequence[str],
    mark: float | None,
) -> go.Figure:
    """Draw one line per symbol over steps, and a vertical line at the mark."""
    figure = go.Figure()
    for k in evenly_spaced(len(symbols), MOST_LINES):
        figure.add_scatter(
            x=_short(steps),
            y=_short(values[:, k]),
            mode="lines",
            name=symbols[k],
            line={"width": 1.6},
            meta={"share": k / max(1, len(symbols) - 1)},  # page.js sets the colour
            hovertemplate=f"{symbols[k]}: %{{y:.3g}} at step %{{x:.4g}}<extra></extra>",
        )
    low, high = float(values.min()), float(values.max())
    if mark is not None and mark <= steps[-1]:
        line = {"color": VAL_COLOUR, "dash": "dash"}
        figure.add_scatter(x=[mark, mark], y=[low, high], mode="lines", line=line, hoverinfo="skip")
    return styled(figure, xaxis={"title": {"text": "step"}, "range": [0, float(steps[-1])]}, showlegend=False)


def _short(values: Real[np.ndarray, "..."]) -> Any:
    """Lists of numbers to five digits, more than a screen shows."""
    array = np.asarray(values, dtype=float)
    if array.ndim > 1:
        return [_short(row) for row in array]
    return [float(f"{value:.5g}") for value in array]
