"""Figures of a network that adds modulo p, for plotly: frequencies over time, neurons, outputs, attention."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int, Real

from grokking_pl.plots.curves import VAL_COLOUR
from grokking_pl.report.page import GRID, MUTED, styled

EXPLAINED = 0.85
"""Fraction of a neuron's variance above which a frequency explains it, as in `FourierProgress`."""


def frequencies_over_time(steps: Int[np.ndarray, " n"], spectra: Float[np.ndarray, "n frequencies"]) -> go.Figure:
    """Draw the fraction of the embeddings' power by frequency (rows) over the measured steps."""
    heat = go.Heatmap(
        z=_short(spectra.T),
        x=[str(step) for step in steps],
        y=list(range(1, spectra.shape[1] + 1)),
        colorscale="Viridis",
        hovertemplate="step %{x}, frequency %{y}: %{z:.3g}<extra></extra>",
    )
    axes = {"xaxis": {"title": {"text": "step"}, "type": "category"}, "yaxis": {"title": {"text": "frequency"}}}
    return styled(go.Figure(heat), height=420, **axes)


def over_pairs(values: Float[np.ndarray, "p q"], name: str, axes: tuple[str, str]) -> go.Figure:
    """Draw a value for each pair as a map, with b or its frequency to the right and a downwards."""
    down, right = axes
    heat = go.Heatmap(
        z=_short(values),
        colorscale="Viridis",
        hovertemplate=f"{down} %{{y}}, {right} %{{x}}: %{{z:.3g}}<extra>{name}</extra>",
    )
    return styled(
        go.Figure(heat),
        height=420,
        xaxis={"title": {"text": right}, "constrain": "domain"},
        yaxis={"title": {"text": down}, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain"},
    )


def neurons_by_frequency(frequency: Int[np.ndarray, " n"], share: Float[np.ndarray, " n"], most: int) -> go.Figure:
    """Draw the numbers of neurons of each frequency, and of those whose variance it explains."""
    places = list(range(1, most + 1))
    figure = go.Figure()
    for chosen, name, colour in (
        (share >= 0, "most of it by this frequency", GRID),
        (share >= EXPLAINED, f"at least {EXPLAINED:.0%} of the variance", VAL_COLOUR),
    ):
        numbers = np.bincount(frequency[chosen], minlength=most + 1)[1 : most + 1].tolist()
        figure.add_bar(x=places, y=numbers, name=name, marker={"color": colour, "line": {"color": MUTED}})
    axes = {"xaxis": {"title": {"text": "frequency"}}, "yaxis": {"title": {"text": "neurons"}}}
    return styled(figure, height=420, barmode="overlay", **axes)


def _short(values: Real[np.ndarray, "rows columns"]) -> list[list[float]]:
    """Numbers to three digits, more than a colour shows."""
    return [[float(f"{value:.3g}") for value in row] for row in values.tolist()]
