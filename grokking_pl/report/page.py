"""Self-contained HTML pages: sections of text and figures, their data and the plotting libraries."""

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from grokking_pl import __version__

INK, MUTED, GRID, PAPER = "#222222", "#666666", "#e3e3e3", "#ffffff"
"""Colours of figures on a light page; on a dark page ``page.js`` replaces exactly these."""


@dataclass
class Page:
    """A report page.

    Args:
        title: title of the page.
        subtitle: line below the title, as HTML.
        sections: heading and HTML of each section.
        figures: figures by the name given to `plot`.
        data: further data for ``page.js``, by name.
    """

    title: str
    subtitle: str = ""
    sections: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, go.Figure] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def add(self, heading: str, *parts: str) -> None:
        """Add a section made of pieces of HTML."""
        self.sections.append((heading, "\n".join(parts)))

    def plot(self, name: str, figure: go.Figure, label: str, caption: str = "") -> str:
        """Add a figure to the page, and return the HTML of its container.

        Args:
            name: name of the figure; letters and dashes.
            figure: figure in the colours of a light page.
            label: description for screen readers.
            caption: line below the figure.
        """
        self.figures[name] = figure
        below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
        return f'<figure><div class="plot" id="{name}" aria-label="{html.escape(label)}"></div>{below}</figure>'

    def render(self) -> str:
        """Render the HTML file."""
        assets = files("grokking_pl.report") / "assets"
        figures = {name: json.loads(figure.to_json()) for name, figure in self.figures.items()}
        data = json.dumps({"figures": figures, **self.data}, separators=(",", ":"), allow_nan=False)
        body = "\n".join(
            f"<section><h2>{html.escape(heading)}</h2>\n{content}\n</section>" for heading, content in self.sections
        )
        return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
            title=html.escape(self.title),
            subtitle=self.subtitle,
            body=body,
            version=__version__,
            css=(assets / "page.css").read_text(encoding="utf-8"),
            plotly=get_plotlyjs(),
            data=data.replace("<", "\\u003c"),
            script=(assets / "page.js").read_text(encoding="utf-8"),
        )


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of kind ``note`` (something missing), ``warning`` (something wrong) or none."""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def table(rows: Mapping[str, str] | Iterable[tuple[str, str]], caption: str = "") -> str:
    """A table of names and values."""
    pairs = rows.items() if isinstance(rows, Mapping) else rows
    lines = (f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>' for name, value in pairs)
    head = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{head}{"".join(lines)}</table></div>'


def grid_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a header; the first value of each row is the row's header."""
    cells = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    lines = (
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(value)}</td>" for value in row[1:])
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{cells}</tr>{"".join(lines)}</table></div>'


def columns(*parts: str) -> str:
    """Pieces side by side if there is room."""
    return f'<div class="columns">{"".join(parts)}</div>'


def chip(word: str, colour: str) -> str:
    """A word preceded by its colour."""
    return f'<span class="chip"><span class="swatch" style="background:{colour}"></span>{html.escape(word)}</span>'


def styled(figure: go.Figure, height: int = 380, **layout: Any) -> go.Figure:
    """Apply the common style to a figure."""
    axis = {"gridcolor": GRID, "linecolor": GRID, "zerolinecolor": GRID, "automargin": True}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 16, "t": 36, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13},
        hoverlabel={"bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": INK}, "align": "left", "namelength": -1},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_layout(**layout)
    return figure


def number(value: float | int | None, nothing: str = "never") -> str:
    """Format a number for readers.

    >>> number(17699.1), number(0.04531), number(801), number(None)
    ('17699', '0.04531', '801', 'never')
    """
    if value is None:
        return nothing
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis from ``low`` to ``high``."""
    ticks, words = log_ticks(low, high)
    return {"title": {"text": title}, "type": "log", "tickmode": "array", "tickvals": ticks, "ticktext": words}


def log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Ticks of a logarithmic axis and their labels: at 1, 2 and 5, or for long axes at powers of ten.

    >>> log_ticks(150, 900)
    ([100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0], ['100', '200', '500', '1000', '2000', '5000'])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if high < 30 * low else (1,)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    return ticks, [f"{tick:.0f}" if tick >= 1 else f"{tick:g}" for tick in ticks]
