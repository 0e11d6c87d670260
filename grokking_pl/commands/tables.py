"""Tables on standard output, of which nothing is cut off."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST = 100_000
"""Columns to which a table may grow if the output is not a terminal."""


def print_table(table: Table, console: Console | None = None) -> None:
    """Print a table: in a terminal folded to its width, and otherwise with every row on one line.

    Without a console, square brackets in cells are not markup.
    """
    console = console or Console(markup=False)
    for column in table.columns:
        column.overflow = "fold"
    if not console.is_terminal:
        table.width = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.print(table, crop=False)
