"""Which room may import which: the contracts see every room, and CONTRIBUTING.md and the page on architecture agree."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from importlinter.api import read_configuration

from tests.conftest import ROOT

LAYERS, *IMPORTERS = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
ROOMS = [room for layer in LAYERS["layers"] for room in re.split(r"\s*\|\s*", layer)]
FOR_ALL = {"cores", "errors", "importing", "sizes", "spacing"}
ON_TOP = ("commands", "interface", "__main__")
"""No room may import them, which the layers say."""
SVG = {"s": "http://www.w3.org/2000/svg"}
PUBLIC_MODULES = ("grokking_pl.plots.", "grokking_pl.sizes", "grokking_pl.errors", "grokking_pl.commands.main")
LOOKS_INSIDE = {
    "benchmark.py",
    "benchmark_batches.py",
    "benchmark_interventions.py",
    "benchmark_rivals.py",
    "benchmark_roofline.py",
    "benchmark_saturation.py",
    "benchmark_transformer.py",
    "toy_batches.py",
}
"""They measure the parts of what is public."""


def room_of(module: str) -> str:
    return module.split(".")[1]


def allowed_imports() -> dict[str, set[str]]:
    """By room, which the contracts let it import."""
    allowed: dict[str, set[str]] = {room: set() for room in ROOMS}
    for contract in IMPORTERS:
        (module,) = contract["protected_modules"]
        for importer in contract["allowed_importers"]:
            allowed[room_of(importer)].add(room_of(module))
    return allowed


def test_each_room_has_a_contract():
    protected = [room_of(module) for contract in IMPORTERS for module in contract["protected_modules"]]
    assert sorted(protected) == sorted({*ROOMS} - FOR_ALL - {*ON_TOP})


def test_table_of_contributing():
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| package |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(?:grokking_pl/)?(\w+)/` \|.*\| ([^|]*) \|$", table, re.MULTILINE)
    written = {room: set(re.findall(r"\w+", uses)) for room, uses in rows}
    allowed = allowed_imports()
    assert written.pop("commands") == written.pop("interface") == {"all"}
    assert allowed.pop("commands") == allowed.pop("interface") == {*written}
    assert written == {room: allowed[room] for room in written}
    assert {*written} == {*ROOMS} - FOR_ALL - {*ON_TOP}


def test_picture_of_the_layers():
    picture = ElementTree.parse(ROOT / "docs/images/layers.svg")
    drawn = [
        {text.text for text in layer.iterfind("s:text[@class='room']", SVG)}
        for layer in picture.iterfind("s:g[@class='layer']", SVG)
    ]
    assert drawn == [{*re.split(r"\s*\|\s*", layer)} for layer in LAYERS["layers"] if layer != "__main__"]


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("callbacks/embedding_norm.py", "import grokking_pl.commands.main", "grokking_pl.callbacks.embedding_norm"),
        ("callbacks/embedding_norm.py", "import grokking_pl.data.mnist", "grokking_pl.callbacks.embedding_norm"),
        ("grokking_pl/plots/circle.py", "import grokking_pl.training", "grokking_pl.plots.circle"),
        ("grokking_pl/runs/folder.py", "import grokking_pl.callbacks.reporting", "grokking_pl.runs.folder"),
        ("grokking_pl/novelties.py", "", "grokking_pl.novelties"),
    ],
)
def test_contracts_see_a_wrong_import(tmp_path, file, line, broken):
    for folder in ("grokking_pl", "callbacks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=lambda _, names: not_python(names))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / file, "a") as module:
        module.write(f"\n{line}\n")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    linted = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert broken in linted.stdout


def not_python(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith((".gz", ".md", ".pyc")) or name == "__pycache__"]


def test_scripts_use_what_is_public():
    private = []
    for path in sorted((ROOT / "scripts").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("grokking_pl")):
                continue
            public = getattr(importlib.import_module(node.module), "__all__", ())
            if not node.module.startswith(PUBLIC_MODULES) and path.name not in LOOKS_INSIDE:
                private += [f"{path.name}: {node.module}.{name.name}" for name in node.names if name.name not in public]
            private += [f"{path.name}: {name.name}" for name in node.names if name.name.startswith("_")]
    assert private == []
