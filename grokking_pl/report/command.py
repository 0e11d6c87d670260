"""``grok report``: the folder of a run or of a diagram as one HTML file, which a browser opens without a network."""

import argparse
import os
import textwrap
from pathlib import Path
from typing import NoReturn

from grokking_pl.commands import COMMANDS, fail
from grokking_pl.errors import UserError

EXAMPLES = """examples:
  grok report runs/toy_addition
  grok report runs/diagrams/figure5a_small --output figure5a.html
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        fail(f"{message}: give one folder, as in 'grok report runs/toy_addition'")


def run(arguments: list[str]) -> None:
    """Run the command; mistakes end it with one line and status 2, Ctrl-C with 130."""
    options = build_parser().parse_args(arguments)
    try:
        output = write_report(options.folder, options.output)
    except KeyboardInterrupt:
        fail("stopped; no report was written", 130)
    except UserError as error:
        fail(str(error))
    print(f"report in {output}: open it in a browser")


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Write the report of a folder, whole or not at all.

    Args:
        folder: of a run or of a diagram.
        output: the file; None for ``report.html`` in the folder.

    Returns:
        The file.

    Raises:
        UserError: the folder holds neither, a file in it is corrupt, or the report cannot be written.
    """
    kind = kind_of(folder)
    # Plots and tensors take seconds to import; mistakes and help are answered before.
    if kind == "run":
        from grokking_pl.report.run_page import run_page as page_of
    else:
        from grokking_pl.report.diagram_page import diagram_page as page_of
    text = page_of(folder).render()
    output = output or folder / "report.html"
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, output)
    except OSError as error:
        raise UserError(f"cannot write the report {output} ({error.strerror}): choose another with --output") from None
    return output


def kind_of(folder: Path) -> str:
    """Whether a folder holds a ``run`` or a ``diagram``.

    Raises:
        UserError: it holds neither, or does not exist.
    """
    if not folder.is_dir():
        what = "is a file and not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}: give the folder of a run or of a diagram")
    if (folder / "diagram.json").exists():
        return "diagram"
    if _is_run(folder):
        return "run"
    below = sorted(path for path in folder.iterdir() if path.is_dir() and (_is_run(path) or _is_diagram(path)))
    hint = f"; there is one below it: grok report {below[0]}" if below else ""
    raise UserError(
        f"{folder} holds neither a run (summary.json, metrics.csv) nor a diagram (diagram.json, runs.csv){hint}"
    )


def _is_run(folder: Path) -> bool:
    return (folder / "summary.json").exists() or (folder / "metrics.csv").exists()


def _is_diagram(folder: Path) -> bool:
    return (folder / "diagram.json").exists()


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = _Parser(
        prog="grok report",
        usage="grok report FOLDER [--output FILE]",
        description=textwrap.fill(
            f"{COMMANDS['report'].partition(':')[0]}. A run shows its phase, curves, embeddings with a slider over the "
            "steps, their spectrum, and theory against measurement; a diagram shows every cell's phase and steps on "
            "hover, and its curves on click.",
            79,
        ),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder of a run or of a diagram")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the file to write; by default FOLDER/report.html")
    return parser
