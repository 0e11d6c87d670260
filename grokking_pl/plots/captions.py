"""Panel letters and captions, as in the paper's figures."""

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

CHARACTERS_PER_INCH = 16.0
"""Characters per inch of caption, measured on English text."""


def letter(axes: Axes, name: str, title: str = "") -> None:
    """Label a panel as in the paper: (a), (b), ..."""
    axes.set_title(f"({name})" + (f"  {title}" if title else ""), loc="left", fontsize=10, fontweight="bold")


def add_caption(figure: Figure, caption: str) -> None:
    """Add a caption below the figure, as wide as the figure; a constrained layout makes room for it."""
    if not caption:
        return
    width, height = figure.get_size_inches()
    text = textwrap.fill(caption, int(width * CHARACTERS_PER_INCH))
    lines = text.count("\n") + 1
    figure.set_size_inches(width, height + 0.16 * lines)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8)
