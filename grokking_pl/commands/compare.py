"""``grok compare``: several runs, or a folder of them, in one table and one figure."""

import argparse
import math
import textwrap
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.failure import DEBUG
from grokking_pl.commands.plain_parser import PlainParser
from grokking_pl.commands.tables import print_table
from grokking_pl.errors import UserError
from grokking_pl.importing import without_collecting

if TYPE_CHECKING:
    from grokking_pl.report.comparison import Comparison

EXAMPLES = f"""examples:
  grok compare runs/decay_0 runs/decay_3
  grok compare runs/sweeps/toy_grid --metric rqi --threshold 0.95 --output toy_grid.png

{DEBUG}
"""


def run(words: list[str]) -> None:
    """Run the command."""
    options = build_parser(words[0]).parse_args(words[1:])
    output: Path = options.output
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"the figure {output} must end in .png, .svg or .pdf: change --output")
    with without_collecting():
        from grokking_pl.report.comparison import compare_runs  # imports pandas, which is slow

    comparison = compare_runs(options.runs, options.metric, options.threshold)
    write_comparison(comparison, output)
    print_comparison(comparison)
    print(f"table in {output.with_suffix('.csv')}, figure in {output}")


def write_comparison(comparison: "Comparison", output: Path) -> None:
    """Write the figure and the table beside it.

    Raises:
        UserError: the folder cannot be written.
    """
    from grokking_pl.runs.files import save_figure, write_atomically, writing

    with writing(output, "choose another file with --output"):
        write_atomically(output.with_suffix(".csv"), comparison.table.to_csv(index=False))
        save_figure(comparison.figure(), output)


def print_comparison(comparison: "Comparison") -> None:
    """Print the table."""
    frame = comparison.table
    table = Table(box=None, padding=(0, 2))
    steps = [name for name in frame if f"{name}_low" in frame]
    table.add_column("group", min_width=20)
    for name in ("runs", "phases", *steps, comparison.metric):
        table.add_column(str(name).replace("_", " "))
    for row in frame.to_dict("records"):
        intervals = [_interval(row, str(name)) for name in steps]
        end = f"{row[comparison.metric]:.4g}"
        table.add_row(row["group"], str(row["runs"]), row["phases"], *intervals, end)
    print_table(table)
    if frame.runs.max() > 1:
        least = frame[frame.runs > 1].confidence.min()
        print(f"medians over runs that differ only in their seeds; intervals of at least {least:.0%}")
    if comparison.threshold is not None and (frame.steps_from == "log").any():
        print(
            f"steps to {comparison.metric} {comparison.threshold:g}: the first logged step where summary.json has no "
            "steps to this threshold"
        )


def _interval(row: dict[Hashable, Any], name: str) -> str:
    """The median of a column with its interval, unless all three are the same."""
    median, low, high = (_number(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    return median if low == high else f"{median} ({low} to {high})"


def _number(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:g}"


def build_parser(name: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = PlainParser(
        hint="give folders of runs, as in 'grok compare runs/decay_0 runs/decay_3'",
        prog=f"grok {name}",
        usage=f"grok {name} RUN [RUN ...] [--metric NAME] [--threshold NUMBER] [--output FILE]",
        description=textwrap.fill(
            f"{COMMANDS[name].about.partition(':')[0]}. Runs that differ only in their seeds form a group, with the "
            "median and quartiles of the metric over steps, and the median steps to each threshold with a "
            "distribution-free interval.",
            79,
        ),
        epilog=EXAMPLES,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run or of several")
    parser.add_argument("--metric", default="val_accuracy", help="column of metrics.csv; default val_accuracy")
    parser.add_argument(
        "--threshold", type=float, help="count steps until the metric reaches this; default the runs' own"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("comparison.png"), metavar="FILE", help="the figure; the table is beside it"
    )
    return parser
