"""``grok report``: a self-contained HTML report of a run, several runs, or a diagram."""

import argparse
import textwrap
from pathlib import Path

from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.failure import DEBUG
from grokking_pl.commands.plain_parser import PlainParser
from grokking_pl.importing import without_collecting

EXAMPLES = f"""examples:
  grok report runs/toy_addition
  grok report runs/diagrams/figure6a_small --output figure6a.html
  grok report runs/decay_0 runs/decay_3

{DEBUG}
"""


def run(words: list[str]) -> None:
    """Run the command."""
    options = build_parser(words[0]).parse_args(words[1:])
    with without_collecting():
        from grokking_pl.report.writing import write_report  # imports matplotlib and pandas, which are slow

    output = write_report(options.folders, options.output)
    print(f"report in {output}: open it in a browser")


def build_parser(name: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = PlainParser(
        hint="give a folder, as in 'grok report runs/toy_addition'",
        prog=f"grok {name}",
        usage=f"grok {name} FOLDER [FOLDER ...] [--output FILE]",
        description=textwrap.fill(
            f"{COMMANDS[name].about.partition(':')[0]}. A run shows its phase, curves, embeddings with a slider over "
            "the steps, their spectrum, and theory against measurement; a diagram shows every cell's phase and steps "
            "on hover, and its curves on click. Several runs are compared on one page.",
            79,
        ),
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="folder of a run or diagram, or several folders of runs",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="output file; by default FOLDER/report.html, or comparison.html for several runs",
    )
    return parser
