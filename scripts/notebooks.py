"""Run the notebooks of the documentation and save the outputs of their cells.

    python scripts/notebooks.py docs/notebooks/first_run.ipynb
    python scripts/notebooks.py docs/notebooks/*.ipynb --set STEPS=100 --output /tmp

This is for the project's own notebooks, whose outputs the documentation shows. Open them, and your own, with Jupyter:
here cells run in order in this process, in an empty folder, so files beside a notebook are not found. Constants in the
cell tagged ``parameters`` can be overridden, for a quick test. If a cell fails, one line names the notebook, the cell
and the error; that notebook is not saved, and the exit status is 1.
"""

import argparse
import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

PARAMETERS = "parameters"
"""Tag of the cell whose constants may be overridden."""


class CellFailed(Exception):
    """A cell of a notebook failed; the message names the cell and the error."""


def run_notebook(notebook: dict[str, Any], name: str, constants: dict[str, Any]) -> dict[str, Any]:
    """Run a notebook's cells in the working directory, and return it with their outputs.

    Args:
        notebook: content of the file.
        name: name of the module in which the cells run.
        constants: values that override those of the parameters cell.

    Raises:
        CellFailed: a cell raised an error.
    """
    module = types.ModuleType(name)
    sys.modules[name] = module
    cells = []
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "code":
            code = "".join(cell["source"])
            given = constants if PARAMETERS in cell["metadata"].get("tags", ()) else {}
            where = f"cell {number}"
            try:
                outputs = run_cell(code, vars(module), given, where)
            except Exception as error:
                raise CellFailed(f"{where}: {type(error).__name__}: {' '.join(str(error).split())}") from error
            cell = {**cell, "execution_count": number, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


def run_cell(code: str, names: dict[str, Any], constants: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Run a cell; return what it prints, and its last line's value if that is an expression."""
    tree = ast.parse(code, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        exec(compile(tree, where, "exec"), names)
        names.update(constants)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        outputs.append({"output_type": "display_data", "metadata": {}, "data": shown(value)})
    return outputs


def shown(value: Any) -> dict[str, Any]:
    """A value's notebook output, by the types of its representations."""
    if isinstance(value, Figure):
        file = io.BytesIO()
        value.savefig(file, format="png", dpi=80)
        return {"image/png": base64.b64encode(file.getvalue()).decode(), "text/plain": [repr(value)]}
    data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    if hasattr(value, "_repr_html_") and (page := value._repr_html_()):
        data["text/html"] = page.splitlines(keepends=True)
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the notebooks of the documentation.")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value of a constant")
    parser.add_argument("--output", type=Path, help="folder for the results; by default the files are overwritten")
    options = parser.parse_args()
    constants = {name: ast.literal_eval(value) for name, _, value in (given.partition("=") for given in options.set)}
    for path in options.files:
        try:
            done = run_file(path, constants)
        except CellFailed as failed:
            sys.exit(f"{path}: {failed}")
        target = options.output / path.name if options.output else path
        target.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(target)


def run_file(path: Path, constants: dict[str, Any]) -> dict[str, Any]:
    """Run the notebook of a file in an empty folder."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    work = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return run_notebook(notebook, path.stem, constants)
        finally:
            os.chdir(work)


if __name__ == "__main__":
    main()
