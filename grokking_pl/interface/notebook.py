"""Notebook display of results: figures as images, outcomes as small tables."""

import html
import io
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure


def shown(figure: Figure) -> Figure:
    """The figure, made displayable in a notebook without pyplot."""

    def png() -> bytes:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=100)
        return file.getvalue()

    figure._repr_png_ = png  # type: ignore[attr-defined]
    return figure


def table(rows: Mapping[str, Any]) -> str:
    """Format names and values as an HTML table."""
    cells = "".join(
        f"<tr><th>{html.escape(str(name).replace('_', ' '))}</th><td>{html.escape(_word(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def _word(value: Any) -> str:
    return "never" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
