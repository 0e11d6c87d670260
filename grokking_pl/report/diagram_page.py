"""The report of a diagram: phase and steps of every cell, by seed or by majority, and the curves of a chosen cell."""

import html
import math
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from grokking_pl.metrics.crossings import further_columns
from grokking_pl.metrics.phases import Phase
from grokking_pl.plots.axis_labels import axis_labels, steps_in_words
from grokking_pl.plots.curves import VAL_COLOUR
from grokking_pl.plots.phases import PHASE_COLOURS, PHASE_LETTERS
from grokking_pl.plots.theory import THEORY_COLOUR
from grokking_pl.report.axis_figure import axis_figure
from grokking_pl.report.diagram_results import DiagramResults, read_diagram
from grokking_pl.report.page import GRID, INK, MUTED, Page, chip, columns, log_ticks, number, paragraph, styled
from grokking_pl.report.run_figures import step_axis

MEASURES = {
    "phase": "phase",
    "steps_to_train": steps_in_words("steps_to_train"),
    "steps_to_val": steps_in_words("steps_to_val"),
    "rqi": "RQI at the end",
    "effective_dimension": "effective dimension at the end",
}
TICKS = 11
MOST_LETTERS = 400
"""Most cells with room for the letter of the phase and the fraction of the seeds that agree."""
CONTROLS = """<div class="controls">
<label>runs <select id="view">{views}</select></label>
<label>colour <select id="measure">{measures}</select></label>
</div>"""
MAP_LABEL = "The grid of runs. Arrow keys move the chosen cell; its results are beside the grid"


def diagram_page(folder: Path) -> Page:
    """The report of a diagram's folder.

    Raises:
        UserError: a file in it is corrupt, or no run has ended.
    """
    results = read_diagram(folder)
    grid = results.grid
    labels = axis_labels(list(grid.plane), grid.labels)
    axes = " and ".join(labels.values())
    of_contenders = f" of {len(grid.contenders)} contenders" if grid.contenders else ""
    subtitle = f"{len(grid)} runs{of_contenders} over {axes}, of at most {results.steps} steps each."
    page = Page(folder.resolve().name, f"<p>{html.escape(subtitle)}</p>")
    parts = []
    if len(results.runs) < len(grid):
        words = (
            f"This diagram is not finished: {len(results.runs)} of {len(grid)} runs have ended; the others are blank."
        )
        parts.append(paragraph(words, "warning"))
    runs_in_phase = Counter(run["phase"] for run in results.runs.values())
    parts.append(
        "<p>"
        + "".join(
            chip(f"{PHASE_LETTERS[phase]} {phase}: {runs_in_phase[str(phase)]}", PHASE_COLOURS[phase])
            for phase in Phase
        )
        + "</p>"
    )
    cells = _cells(results)
    seeds: dict[str, int | None] = {"majority of the seeds": None} if len(grid.seeds) > 1 else {}
    seeds |= {f"seed {seed}": k for k, seed in enumerate(grid.seeds)}
    views = {
        ", ".join([*contender, name]): (number, seed)
        for number, contender in enumerate([[name] for name in grid.contenders] or [[]])
        for name, seed in seeds.items()
    }
    measures = {name: words for name, words in measures_of(results).items() if _is_measured(name, results)}
    page.data["diagram"] = {
        "views": {
            name: {
                "values": {measure: _values(results, cells[contender], measure, seed) for measure in measures},
                "words": _words(results, cells[contender], seed),
                "letters": _letters(results, cells[contender], seed),
                "contender": contender,
                "seed": None if seed is None else f"seed {grid.seeds[seed]}",
            }
            for name, (contender, seed) in views.items()
        },
        "cells": [_runs_of_cells(results, of_contender) for of_contender in cells],
        "curves": results.curves,
        "start": _start(results, cells[0]),
    }
    for measure, words in measures.items():
        page.figures[f"map-{measure}"] = _map(results, measure, words)
    parts.append(CONTROLS.format(views=_options(views), measures=_options(measures, measures)))
    paths = html.escape("".join(f"{label}: {', '.join(grid.paths_of(axis))}. " for axis, label in labels.items()))
    picture = (
        f'<figure><div class="plot" id="map" tabindex="0" role="application" aria-label="{MAP_LABEL}"></div>'
        "<figcaption>Point at a cell for its coordinates, steps and phase; click it, or move with the arrow keys, for "
        f"its curves. {paths}</figcaption></figure>"
    )
    if len(grid.plane) == 1 and not grid.contenders:
        words = f"Steps to both thresholds against {axes}; the background is the most frequent phase."
        if len(grid.seeds) > 1:
            words += (
                f" Lines and circles are medians of {len(grid.seeds)} seeds, dots are runs; point at a circle for the "
                "interpolated quartiles."
            )
        parts.insert(len(parts) - 1, page.plot("axis-steps", axis_figure(results), words, words))
    page.add("Phases", *parts, columns(picture, _detail(page, results)))
    return page


def measures_of(results: DiagramResults) -> dict[str, str]:
    """The quantities that can be shown per cell, with their labels."""
    thresholds = results.criteria.get("further_thresholds") or ()
    return MEASURES | {column: steps_in_words(column) for column in further_columns(thresholds)}


def _detail(page: Page, results: DiagramResults) -> str:
    """The part of the page with the chosen cell's description, runs and curves."""
    told = '<div id="cell-words" aria-live="polite"></div><div class="scroll"><table id="cell-runs"></table></div>'
    if not results.curves:
        words = (
            "This folder has no curves.csv, so there are no curves to show; grok diagram writes one for new diagrams."
        )
        return f"<div>{told}{paragraph(words, 'note')}</div>"
    figure = styled(
        go.Figure(),
        yaxis={"title": {"text": "accuracy, RQI"}, "range": [-0.02, 1.05]},
        xaxis=step_axis([1, results.steps]),
    )
    page.data["diagram"]["lines"] = {
        "train_accuracy": {"name": "training accuracy", "color": INK, "dash": "dash"},
        "val_accuracy": {"name": "validation accuracy", "color": VAL_COLOUR, "dash": "solid"},
        "rqi": {"name": "RQI", "color": THEORY_COLOUR, "dash": "dot"},
    }
    figure.update_layout(shapes=[_threshold(results, "train", INK), _threshold(results, "val", VAL_COLOUR)])
    return f"<div>{told}{page.plot('cell-curves', figure, 'The curves of the chosen cell over training steps')}</div>"


def _threshold(results: DiagramResults, name: str, colour: str) -> dict[str, Any]:
    level = results.criteria.get(f"{name}_threshold", 0.9)
    line = {"color": colour, "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": line, "opacity": 0.5}


# Cells.


Cells = list[list[dict[int, int]]]
"""Run numbers of finished runs by seed index, for each cell of each row."""


def _cells(results: DiagramResults) -> list[Cells]:
    """The cells of each contender, or of the grid if there are none."""
    lengths = [len(values) for values in results.grid.plane.values()]
    rows = lengths[0] if len(lengths) == 2 else 1
    cells: list[Cells] = [
        [[{} for _ in range(lengths[-1])] for _ in range(rows)] for _ in results.grid.contenders or [""]
    ]
    for index in results.runs:
        contender, y, x, seed = results.place(index)
        cells[contender][y][x][seed] = index
    return cells


def _start(results: DiagramResults, cells: Cells) -> list[int]:
    """The cell shown first: one that groks, if there is one."""
    full = [(x, y) for y, row in enumerate(cells) for x, cell in enumerate(row) if cell] or [(0, 0)]

    def groks(place: tuple[int, int]) -> bool:
        x, y = place
        return any(results.runs[index]["phase"] == str(Phase.GROKKING) for index in cells[y][x].values())

    return list(next((place for place in full if groks(place)), full[0]))


def _chosen(results: DiagramResults, cell: dict[int, int], seed: int | None) -> list[dict[str, Any]]:
    return [results.runs[index] for k, index in sorted(cell.items()) if seed is None or k == seed]


def _majority(runs: list[dict[str, Any]]) -> tuple[Phase, int]:
    """The most frequent phase (in a tie, the better one), and its number of runs."""
    runs_in_phase = Counter(run["phase"] for run in runs)
    majority = max(Phase, key=lambda phase: runs_in_phase[str(phase)])
    return majority, runs_in_phase[str(majority)]


def _median(runs: list[dict[str, Any]], name: str) -> float | None:
    """The median, with never as longer than all others."""
    never = float("inf")
    middle = statistics.median(never if run[name] is None else run[name] for run in runs)
    return middle if middle < never else None


def _values(results: DiagramResults, cells: Cells, measure: str, seed: int | None) -> list[list[float | None]]:
    def value(cell: dict[int, int]) -> float | None:
        runs = _chosen(results, cell, seed)
        if not runs:
            return None
        if measure == "phase":
            return list(Phase).index(_majority(runs)[0])
        middle = _median(runs, measure)
        # Steps are drawn on a logarithmic scale; never is the background.
        return middle if middle is None or not measure.startswith("steps") else _log10(middle)

    return [[value(cell) for cell in row] for row in cells]


def _words(results: DiagramResults, cells: Cells, seed: int | None) -> list[list[str]]:
    """The hover text of each cell."""
    axes = results.grid.plane
    label = axis_labels(list(axes), results.grid.labels)
    across = list(axes.items())[-1]
    up = next(iter(axes.items())) if len(axes) == 2 else None

    def say(x: int, y: int, cell: dict[int, int]) -> str:
        coordinates = [f"{label[across[0]]}: {tick(across[1][x])}"]
        if up:
            coordinates.append(f"{label[up[0]]}: {tick(up[1][y])}")
        runs = _chosen(results, cell, seed)
        if not runs:
            return "<br>".join([*map(html.escape, coordinates), "not finished"])
        phase, count = _majority(runs)
        share = f" ({count} of {len(runs)} seeds)" if len(runs) > 1 else ""
        what = "median steps" if len(runs) > 1 else "steps"
        lines = [
            *coordinates,
            f"phase: {phase}{share}",
            f"{what} to training threshold: {number(_median(runs, 'steps_to_train'))}",
            f"{what} to validation threshold: {number(_median(runs, 'steps_to_val'))}",
        ]
        return "<br>".join(map(html.escape, lines))

    return [[say(x, y, cell) for x, cell in enumerate(row)] for y, row in enumerate(cells)]


def _letters(results: DiagramResults, cells: Cells, seed: int | None) -> list[list[str]]:
    """The letter of each cell's phase, with the fraction of seeds where they disagree."""

    def say(cell: dict[int, int]) -> str:
        runs = _chosen(results, cell, seed)
        if not runs:
            return ""
        runs_in_phase = Counter(run["phase"] for run in runs)
        count = max(runs_in_phase.values())
        letters = "/".join(PHASE_LETTERS[phase] for phase in Phase if runs_in_phase[str(phase)] == count)
        return letters + (f" {count / len(runs):.0%}" if count < len(runs) else "")

    return [[say(cell) for cell in row] for row in cells]


def _runs_of_cells(results: DiagramResults, cells: Cells) -> list[list[list[list[str]]]]:
    """For each cell, one row per run: number, seed, phase, steps, accuracies and representation metrics."""
    seeds = results.grid.seeds

    def row(seed: int, index: int) -> list[str]:
        run = results.runs[index]
        steps = [number(run[name]) for name in ("steps_to_train", "steps_to_val", "steps_to_rqi")]
        values = [number(run[name], "–") for name in ("train_accuracy", "val_accuracy", "rqi", "effective_dimension")]
        return [str(index), f"seed {seeds[seed]}", run["phase"], *steps, *values]

    return [[[row(seed, index) for seed, index in sorted(cell.items())] for cell in line] for line in cells]


# The figure.


def _map(results: DiagramResults, measure: str, words: str) -> go.Figure:
    """The map of one quantity, without values, which are set by ``page.js``."""
    plane = results.grid.plane
    axes = list(zip(axis_labels(list(plane), results.grid.labels).values(), plane.values(), strict=True))
    heat: dict[str, Any] = {"xgap": 1, "ygap": 1, "hovertemplate": "%{customdata}<extra></extra>", "hoverongaps": True}
    if measure == "phase":
        phases = len(Phase)
        scale = [
            [edge, PHASE_COLOURS[phase]] for k, phase in enumerate(Phase) for edge in (k / phases, (k + 1) / phases)
        ]
        heat |= {"colorscale": scale, "zmin": -0.5, "zmax": phases - 0.5, "showscale": False}
        if math.prod(len(values) for _, values in axes) <= MOST_LETTERS:
            heat |= {"texttemplate": "%{text}"}
    else:
        bar: dict[str, Any] = {"title": {"text": words, "side": "right"}, "outlinewidth": 0, "thickness": 14}
        heat |= {"colorscale": "Viridis", "colorbar": bar}
        if measure.startswith("steps"):
            steps = [max(run[measure], 1) for run in results.runs.values() if run[measure] is not None]
            ticks, texts = log_ticks(min(steps), max(steps))
            bar |= {"tickvals": list(map(_log10, ticks)), "ticktext": texts}
            heat |= {"zmin": _log10(min(steps)), "zmax": _log10(max(steps)) or 1.0}
    figure = go.Figure(go.Heatmap(z=[[None]], **heat))
    across = axes[-1]
    layout: dict[str, Any] = {"xaxis": _ticks(*across), "showlegend": False}
    if len(axes) == 2:
        layout["yaxis"] = _ticks(*axes[0])
    else:
        layout["yaxis"] = {"showticklabels": False, "range": [-0.5, 0.5]}
    if measure.startswith("steps"):
        note = {"text": "blank: never", "xref": "paper", "yref": "paper", "x": 0, "y": 1, "yanchor": "bottom"}
        layout["annotations"] = [note | {"showarrow": False, "font": {"color": MUTED}}]
    styled(figure, height=480 if len(axes) == 2 else 220, **layout)
    figure.update_xaxes(showgrid=False, zeroline=False, linecolor=GRID)
    figure.update_yaxes(showgrid=False, zeroline=False, linecolor=GRID)
    return figure


def _ticks(name: str, values: list[Any]) -> dict[str, Any]:
    every = -(-len(values) // TICKS)
    chosen = list(range(0, len(values), every))
    return {
        "title": {"text": name},
        "tickvals": chosen,
        "ticktext": [tick(values[k]) for k in chosen],
        "range": [-0.5, len(values) - 0.5],
    }


def tick(value: Any) -> str:
    """Format a coordinate briefly.

    >>> tick(0.00046415888), tick("grokking_pl.tasks.addition"), tick(3)
    ('0.000464', 'addition', '3')
    """
    if isinstance(value, float):
        return f"{value:.3g}"
    return value.rsplit(".", 1)[-1] if isinstance(value, str) else str(value)


def _is_measured(measure: str, results: DiagramResults) -> bool:
    return measure == "phase" or any(run[measure] is not None for run in results.runs.values())


def _log10(value: float) -> float:
    return round(math.log10(max(value, 1)), 4)


def _options(names: Any, words: dict[str, str] | None = None) -> str:
    texts = ((name, words[name] if words else name) for name in names)
    return "".join(f'<option value="{html.escape(name)}">{html.escape(text)}</option>' for name, text in texts)
