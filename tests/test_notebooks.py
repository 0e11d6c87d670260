"""The notebooks of the documentation: every cell runs, with fewer steps, and those that are kept were run whole."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.process_state import put_back

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


@pytest.fixture
def run_file(monkeypatch, tmp_path_factory):
    """Runs a notebook as its script does."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from notebooks import run_file

    with put_back(tmp_path_factory.getbasetemp()):
        yield run_file
    for name in ("notebooks", *(path.stem for path in NOTEBOOKS)):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(run_file, path):
    kept = json.loads(path.read_text())
    done = run_file(path, {"STEPS": 40, "COMPILE": False})
    assert [kind(cell) for cell in done["cells"]] == [kind(cell) for cell in kept["cells"]]
    assert sum(cell["metadata"].get("tags") == ["parameters"] for cell in kept["cells"]) == 1


def kind(cell: dict) -> tuple:
    """What a cell is, and whether its outputs are text, tables or pictures."""
    outputs = cell.get("outputs", [])
    return "".join(cell["source"]), [sorted(output.get("data", {"text": 0})) for output in outputs]


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ["first_run", "own_parts", "phase_diagram"]


def test_the_site_shows_them():
    """As pages with code, tables and pictures; the link is to the notebook itself."""
    namespace: dict = {"__file__": str(ROOT / "docs/hooks.py")}
    exec((ROOT / "docs/hooks.py").read_text(), namespace)
    for path in NOTEBOOKS:
        page = namespace["page_of"](path)
        assert page.startswith("# ")
        assert f"({path.name})" in page
        assert "import grokking_pl as gp" in page
        assert "<table" in page
        assert ("data:image/png;base64," in page) == (path.stem != "own_parts")


def test_a_cell_that_fails_is_named(tmp_path):
    """On one line, and the notebook is left as it was."""
    cells = [
        {"cell_type": "code", "metadata": {}, "source": [code], "outputs": [], "execution_count": None}
        for code in ("print(1)", "open('beside.csv')")
    ]
    path = tmp_path / "own.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    before = path.read_text()
    done = subprocess.run([sys.executable, ROOT / "scripts/notebooks.py", path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{path}: cell 2: FileNotFoundError: ")
    assert "beside.csv" in done.stderr
    assert done.stderr.count("\n") == 1
    assert path.read_text() == before
