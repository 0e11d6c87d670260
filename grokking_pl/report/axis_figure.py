"""Diagrams with one axis in the report: steps to both thresholds along the axis, with the phases as background."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float

from grokking_pl.plots.axis_curves import NEVER_HEIGHTS, axis_places, borders, most_frequent, never_at, quartiles_at
from grokking_pl.plots.axis_labels import axis_labels
from grokking_pl.plots.curves import VAL_COLOUR
from grokking_pl.plots.phases import PHASE_COLOURS
from grokking_pl.plots.theory import THEORY_COLOUR
from grokking_pl.report.diagram_results import DiagramResults
from grokking_pl.report.page import INK, PAPER, log_axis, number, styled
from grokking_pl.runs.diagram_folder import read_marks

THRESHOLDS = {"train": ("training threshold", INK, "dash"), "val": ("validation threshold", VAL_COLOUR, "solid")}
NEVER_ROW = 0.88
"""Where the row of runs that never reached a threshold begins, as a fraction of the figure's height."""


def axis_figure(results: DiagramResults) -> go.Figure:
    """Draw the median steps to each threshold along the single axis, with quartiles and individual runs.

    Runs that never reached a threshold, and infinite medians, are in a row of their own above the steps.

    Args:
        results: a diagram with one axis and no contenders.
    """
    ((axis, given),) = results.grid.plane.items()
    values, places, is_numeric, is_log = axis_places(given)
    x = np.array([places[values.index(given[results.place(index)[2]])] for index in results.runs])
    reached = places[np.isin(places, x)]
    figure = go.Figure()
    crossed = [run[key] for run in results.runs.values() for name in THRESHOLDS if run[key := f"steps_to_{name}"]]
    missed = any(run[f"steps_to_{name}"] is None for run in results.runs.values() for name in THRESHOLDS)
    for name, style in THRESHOLDS.items():
        steps = np.array([np.inf if run[f"steps_to_{name}"] is None else run[f"steps_to_{name}"]
                          for run in results.runs.values()], dtype=float)  # fmt: skip
        _add_steps(figure, x, np.maximum(steps, 1), reached, *style)
        if missed:
            _add_never(figure, x, steps, reached, NEVER_HEIGHTS[name], *style[:2])
    edges = borders(places, is_log)
    phases = pd.Series([run["phase"] for run in results.runs.values()])
    shapes = [
        shape
        for place, left, right in zip(places, edges[:-1], edges[1:], strict=True)
        if place in reached
        for shape in _background(phases[x == place], left, right)
    ]
    marks = read_marks(results.path)
    shapes += [
        {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": value, "x1": value,
         "line": {"color": THEORY_COLOUR, "width": 2, "dash": "dot"}}
        for value in marks.values()
    ]  # fmt: skip
    notes = [
        {"text": label, "x": np.log10(value) if is_log else value, "y": 1, "yref": "paper", "yanchor": "top",
         "textangle": -90, "xanchor": "left", "showarrow": False, "font": {"color": THEORY_COLOUR}}
        for label, value in marks.items()
    ]  # fmt: skip
    title = axis_labels([axis], results.grid.labels)[axis]
    across: dict[str, Any] = log_axis(title, places.min(), places.max()) if is_log else {"title": {"text": title}}
    if not is_numeric:
        across |= {"tickvals": list(places), "ticktext": list(map(str, values))}
    ends = np.log10(edges[[0, -1]]) if is_log else edges[[0, -1]]
    across["range"] = ends.tolist()
    low, high = max(min(crossed, default=1), 1), max(crossed, default=10)
    upwards = log_axis("steps", low, high) | {"range": [np.log10(low / 1.3), np.log10(max(high, 2 * low) * 1.3)]}
    rows: dict[str, Any] = {"yaxis": upwards}
    if missed:
        rows = {
            "yaxis": upwards | {"domain": [0, NEVER_ROW - 0.02]},
            "yaxis2": {"domain": [NEVER_ROW, 1], "range": [0, 1], "tickvals": [0.5], "ticktext": ["never"],
                       "showgrid": False, "zeroline": False},
        }  # fmt: skip
        # A white line between the steps and the row, over the background of both.
        shapes.append(
            {"type": "rect", "layer": "below", "xref": "paper", "yref": "paper", "x0": 0, "x1": 1,
             "y0": NEVER_ROW - 0.02, "y1": NEVER_ROW, "fillcolor": PAPER, "line": {"width": 0}}
        )  # fmt: skip
    return styled(figure, xaxis=across, **rows, shapes=shapes, annotations=notes)


def _add_steps(
    figure: go.Figure,
    x: Float[np.ndarray, " runs"],
    steps: Float[np.ndarray, " runs"],
    places: Float[np.ndarray, " values"],
    name: str,
    colour: str,
    dash: str,
) -> None:
    quarters = [[step if np.isfinite(step) else None for step in row] for row in quartiles_at(places, x, steps)]
    low, middle, high = quarters
    words = [f"lower quartile {number(a)}, upper quartile {number(b)}" for a, b in zip(low, high, strict=True)]
    figure.add_scatter(
        x=places.tolist(), y=middle, mode="lines+markers", line={"color": colour, "dash": dash, "width": 2},
        marker={"symbol": "circle-open", "size": 9, "color": colour},
        name=f"{name}, median", customdata=words, hovertemplate="%{y} steps; %{customdata}",
    )  # fmt: skip
    crossed = np.isfinite(steps)
    figure.add_scatter(
        x=x[crossed].tolist(), y=steps[crossed].tolist(), mode="markers", marker={"color": colour, "size": 5},
        name=f"{name}, runs", showlegend=False, hovertemplate="%{y} steps",
    )  # fmt: skip


def _add_never(
    figure: go.Figure,
    x: Float[np.ndarray, " runs"],
    steps: Float[np.ndarray, " runs"],
    places: Float[np.ndarray, " values"],
    height: float,
    name: str,
    colour: str,
) -> None:
    """Add a circle for each infinite median, and a dot where some run never reached the threshold."""
    medians, missed = never_at(places, x, steps)
    words = [f"never: {np.isinf(steps[x == place]).sum()} of {(x == place).sum()} runs" for place in missed]
    common = {"yaxis": "y2", "showlegend": False, "mode": "markers"}
    figure.add_scatter(
        x=medians.tolist(), y=[height] * len(medians), name=f"{name}, never reached in the median", hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 9, "color": colour}, **common,
    )  # fmt: skip
    figure.add_scatter(
        x=missed.tolist(), y=[height] * len(missed), name=f"{name}, runs that never reached it", customdata=words,
        hovertemplate="%{customdata}", marker={"color": colour, "size": 5}, **common,
    )  # fmt: skip


def _background(phases: "pd.Series[str]", left: float, right: float) -> list[dict[str, Any]]:
    """Rectangles in the colours of the most frequent phases, one above the other in a tie."""
    tied = most_frequent(phases)
    style = {"type": "rect", "layer": "below", "yref": "paper", "opacity": 0.45, "line": {"width": 0}}
    across = {"x0": float(left), "x1": float(right)}
    return [
        {**style, **across, "y0": k / len(tied), "y1": (k + 1) / len(tied), "fillcolor": PHASE_COLOURS[phase]}
        for k, phase in enumerate(tied)
    ]
