"""Tables on the terminal."""

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table


def print_table(title: str, frame: pd.DataFrame, width: int = 150) -> None:
    """Print a table; nan and infinite steps mean never."""
    table = Table(title=title, title_justify="left")
    for column in frame.columns:
        table.add_column(str(column).replace("_", " "), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*map(as_text, row))
    Console(width=width).print(table)


def as_text(value: object) -> str:
    """Format a value for a cell."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "never" if not np.isfinite(value) else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
