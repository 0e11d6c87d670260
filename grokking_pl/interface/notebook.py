"""Notebook display of results: figures as images, outcomes as small tables."""

import html
import io
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show_figures() -> None:
    """Have a running IPython display figures as images, which it does by itself only once pyplot is imported."""
    ipython = sys.modules.get("IPython")
    if shell := ipython and ipython.get_ipython():
        images = shell.display_formatter.formatters["image/png"]
        if "matplotlib.figure.Figure" not in images:
            images.for_type_by_name("matplotlib.figure", "Figure", png)


def png(figure: "Figure") -> bytes:
    """A figure as the content of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def table(rows: Mapping[str, Any]) -> str:
    """Format names and values as an HTML table."""
    cells = "".join(
        f"<tr><th>{html.escape(str(name).replace('_', ' '))}</th><td>{html.escape(_word(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def _word(value: Any) -> str:
    return "never" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
