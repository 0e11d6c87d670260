"""Figures of a circuit, for plotly: frequencies or representations over time, neurons, outputs, attention."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int, Real

from grokking_pl.metrics.pair_spectrum import EXPLAINED
from grokking_pl.plots.curves import VAL_COLOUR
from grokking_pl.report.page import GRID, MUTED, styled


def terms_over_time(
    steps: Int[np.ndarray, " n"], spectra: Float[np.ndarray, "n terms"], names: Sequence[str], term: str
) -> go.Figure:
    """Draw the fraction of the embeddings' power in each term (rows) over the measured steps.

    Args:
        steps: measured steps.
        spectra: fractions at each step.
        names: names of the terms.
        term: word for a term, such as "frequency".
    """
    heat = go.Heatmap(
        z=_short(spectra.T),
        x=[str(step) for step in steps],
        y=list(names),
        colorscale="Viridis",
        colorbar={"title": {"text": "fraction"}},
        hovertemplate=f"step %{{x}}, {term} %{{y}}: %{{z:.3g}}<extra></extra>",
    )
    axes = {
        "xaxis": {"title": {"text": "step"}, "type": "category", "nticks": 10},
        "yaxis": {"title": {"text": term}, "type": "category", "nticks": 15},
    }
    return styled(go.Figure(heat), height=420, **axes)


def over_pairs(
    values: Float[np.ndarray, "p q"], name: str, axes: tuple[str, str], names: Sequence[str] | None = None
) -> go.Figure:
    """Draw a value for each pair as a map, with b or its term to the right and a downwards.

    Args:
        values: values of all pairs.
        name: name of the values.
        axes: labels of the downward axis and of the axis to the right.
        names: names of the rows and the columns; None for their indices.
    """
    down, right = axes
    heat = go.Heatmap(
        z=_short(values),
        x=names,
        y=names,
        colorscale="Viridis",
        hovertemplate=f"{down} %{{y}}, {right} %{{x}}: %{{z:.3g}}<extra>{name}</extra>",
    )
    return styled(
        go.Figure(heat),
        height=420,
        xaxis={"title": {"text": right}, "constrain": "domain"},
        yaxis={"title": {"text": down}, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain"},
    )


def neurons_by_term(
    which: Int[np.ndarray, " n"], share: Float[np.ndarray, " n"], names: Sequence[str], term: str
) -> go.Figure:
    """Draw the number of neurons of each term, and of those whose variance it explains.

    Args:
        which: the term of each neuron; 0 for none.
        share: fraction of its variance explained by the term.
        names: names of the terms from 1 on.
        term: word for a term, such as "frequency".
    """
    figure = go.Figure()
    for chosen, name, colour in (
        (share >= 0, f"most of it by this {term}", GRID),
        (share >= EXPLAINED, f"at least {EXPLAINED:.0%} of the variance", VAL_COLOUR),
    ):
        numbers = np.bincount(which[chosen], minlength=len(names) + 1)[1:].tolist()
        figure.add_bar(x=list(names), y=numbers, name=name, marker={"color": colour, "line": {"color": MUTED}})
    axes = {
        "xaxis": {"title": {"text": term}, "type": "category", "nticks": 15},
        "yaxis": {"title": {"text": "neurons"}},
    }
    return styled(figure, height=420, barmode="overlay", **axes)


def _short(values: Real[np.ndarray, "rows columns"]) -> list[list[float]]:
    """Numbers to three digits, more than a colour shows."""
    return [[float(f"{value:.3g}") for value in row] for row in values.tolist()]
