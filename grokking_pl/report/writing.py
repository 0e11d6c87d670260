"""Writing the report of a run, a diagram or several runs to a file."""

from collections.abc import Sequence
from pathlib import Path

from grokking_pl.errors import UserError


def write_report(folders: Path | Sequence[Path], output: Path | None = None) -> Path:
    """Write the report of a folder, or of several runs on one page, atomically.

    Args:
        folders: folder of a run or of a diagram; or several of runs.
        output: output file; None for ``report.html`` in the folder, or for ``comparison.html`` in the working
            directory.

    Returns:
        The path of the file.

    Raises:
        UserError: a folder has neither, a file in it is corrupt, or the report cannot be written.
    """
    several = [] if isinstance(folders, Path) else list(folders)
    folder = folders if isinstance(folders, Path) else several[0]
    kind = "runs" if len(several) > 1 else kind_of(folder)
    # Imported here because plots and torch take seconds; errors and help come first.
    from grokking_pl.runs.files import write_atomically

    if kind == "runs":
        from grokking_pl.report.comparison_page import comparison_page

        text = comparison_page(several).render()
    elif kind == "run":
        from grokking_pl.report.run_page import run_page

        text = run_page(folder).render()
    else:
        from grokking_pl.report.diagram_page import diagram_page

        text = diagram_page(folder).render()
    output = output or (Path("comparison.html") if kind == "runs" else folder / "report.html")
    try:
        write_atomically(output, text)
    except OSError as error:
        raise UserError(f"cannot write the report {output} ({error.strerror}): choose another with --output") from None
    return output


def kind_of(folder: Path) -> str:
    """The kind of a folder: ``run`` or ``diagram``.

    Raises:
        UserError: it is neither, or does not exist.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}: give the folder of a run or of a diagram")
    if (folder / "diagram.json").exists():
        return "diagram"
    if is_run(folder):
        return "run"
    below = sorted(path for path in folder.iterdir() if path.is_dir() and (is_run(path) or _is_diagram(path)))
    hint = f"; it contains one, {below[0]}" if below else ""
    raise UserError(
        f"{folder} is neither a run (summary.json, metrics.csv) nor a diagram (diagram.json, runs.csv){hint}"
    )


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's, finished or not."""
    return (folder / "summary.json").exists() or (folder / "metrics.csv").exists()


def _is_diagram(folder: Path) -> bool:
    return (folder / "diagram.json").exists()
