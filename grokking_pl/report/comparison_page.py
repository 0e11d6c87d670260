"""The report of several runs: the outcome of each group, and both accuracies over steps."""

import math
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb, qualitative

from grokking_pl.report.comparison import Comparison, Group, compare_runs
from grokking_pl.report.page import Page, grid_table, number, styled
from grokking_pl.report.run_figures import step_axis
from grokking_pl.report.run_results import RunResults

MEASURES = {"val_accuracy": "validation accuracy", "train_accuracy": "training accuracy", "rqi": "RQI"}
COLOURS = qualitative.D3


def comparison_page(folders: Sequence[Path]) -> Page:
    """The report of several runs.

    Args:
        folders: folders of runs, or folders that contain such folders.

    Raises:
        UserError: a folder holds no run, a file is corrupt, or a run has no validation accuracy.
    """
    comparison = compare_runs(folders)
    runs = sum(len(group.runs) for group in comparison.groups)
    page = Page("Comparison", f"<p>{runs} runs in {len(comparison.groups)} groups with different settings.</p>")
    page.add("Outcome", grid_table(*_outcome(comparison)))
    for metric, words in MEASURES.items():
        if all(metric in run.metrics and run.metrics[metric].notna().any() for run in _runs(comparison)):
            figure = _curves(comparison, metric, words)
            caption = (
                "Medians over the seeds of each group, whose number is in the table; bands are interpolated quartiles."
            )
            page.add(words.capitalize() if words != "RQI" else words, page.plot(metric, figure, words, caption))
    return page


def _runs(comparison: Comparison) -> list[RunResults]:
    return [run for group in comparison.groups for run in group.runs]


def _outcome(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    head = ["group", "runs", "phases", "steps to training threshold", "steps to validation threshold",
            "validation accuracy at the end"]  # fmt: skip
    rows = [
        [
            row["group"], str(row["runs"]), row["phases"], _steps(group, "steps_to_train"),
            _steps(group, "steps_to_val"), number(row["val_accuracy"]),
        ]
        for group, row in zip(comparison.groups, comparison.table.to_dict("records"), strict=True)
    ]  # fmt: skip
    return head, rows


def _steps(group: Group, column: str) -> str:
    interval = group.steps(column)
    words = _number(interval.median)
    if len(group.runs) == 1:
        return words
    return f"{words} ({_number(interval.low)} to {_number(interval.high)}, {interval.confidence:.0%})"


def _number(steps: float) -> str:
    return number(None if math.isinf(steps) else steps)


def _curves(comparison: Comparison, metric: str, words: str) -> go.Figure:
    figure = go.Figure()
    longest = [1.0]
    for k, group in enumerate(comparison.groups):
        curve, colour = group.curve(metric), COLOURS[k % len(COLOURS)]
        steps = curve.step.tolist()
        longest += steps
        if len(group.runs) > 1:
            band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            figure.add_scatter(x=steps, y=curve.low.tolist(), legendgroup=group.name, **band)
            figure.add_scatter(x=steps, y=curve.high.tolist(), legendgroup=group.name, fill="tonexty", **band,
                               fillcolor=f"rgba{(*hex_to_rgb(colour), 0.2)}")  # fmt: skip
        line = {"color": colour, "width": 2}
        figure.add_scatter(
            x=steps, y=curve["median"].tolist(), name=group.name, legendgroup=group.name, line=line, mode="lines"
        )
    yaxis = {"title": {"text": words}, "range": [-0.02, 1.05]}
    return styled(figure, height=440, xaxis=step_axis(longest), yaxis=yaxis, meta={"steps": True})
