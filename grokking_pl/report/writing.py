"""The report of a folder, of whichever kind it is, as a file."""

from pathlib import Path

from grokking_pl.errors import UserError


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
    from grokking_pl.runs.files import write_atomically

    if kind == "run":
        from grokking_pl.report.run_page import run_page as page_of
    else:
        from grokking_pl.report.diagram_page import diagram_page as page_of
    text = page_of(folder).render()
    output = output or folder / "report.html"
    try:
        write_atomically(output, text)
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
    hint = f"; there is one below it, {below[0]}" if below else ""
    raise UserError(
        f"{folder} holds neither a run (summary.json, metrics.csv) nor a diagram (diagram.json, runs.csv){hint}"
    )


def _is_run(folder: Path) -> bool:
    return (folder / "summary.json").exists() or (folder / "metrics.csv").exists()


def _is_diagram(folder: Path) -> bool:
    return (folder / "diagram.json").exists()
