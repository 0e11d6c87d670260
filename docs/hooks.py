"""What the site's pages need beyond Markdown: formulas as MathML, the help of the command line, the names of a room.

mkdocs calls ``on_page_markdown`` and ``on_page_content``. Browsers draw MathML themselves, so that no script has to be
loaded.
"""

import contextlib
import csv
import html
import importlib
import io
import itertools
import json
import os
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from grokking_pl.commands.main import main

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
HELP = re.compile(r"^<!-- (grok [a-z -]+) -->$", re.MULTILINE)
ROOM = re.compile(r"^<!-- all of (grokking_pl\.\w+) -->$(?:\n\nThe docstrings are on .*)?", re.MULTILINE)
"""With the sentence below it, which is for readers of the repository."""
NOTEBOOK = re.compile(r"\]\(\.\./\.\./notebooks/(\w+)\.ipynb\)")
"""A link from a page to a notebook in the repository."""
FILES = re.compile(r"^<!-- files of (configs[\w/]*) -->$", re.MULTILINE)
TABLE = re.compile(r"^<!-- table of (docs/results/[\w/]+\.csv) -->$", re.MULTILINE)
GALLERY = "<!-- figures of docs/results -->"
ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs/results"
NOTEBOOKS = ROOT / "docs/notebooks"
COLUMNS = "92"
ROUTINE = r"!^(on_\w+|state_dict|load_state_dict|status|summary|settle|teardown)$"
"""What every callback has, so that it tells nothing of one."""


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Put what they stand for in place of comments, and link to the pages of notebooks.

    These are ``<!-- COMMAND --help -->``, ``<!-- all of PACKAGE -->``, ``<!-- files of FOLDER -->``,
    ``<!-- table of FILE.csv -->`` and ``<!-- figures of docs/results -->``.
    """
    markdown = markdown.replace(GALLERY, gallery() if GALLERY in markdown else "")
    markdown = TABLE.sub(lambda found: table_in(ROOT / found[1]), markdown)
    markdown = FILES.sub(lambda found: table_of(found[1]), markdown)
    markdown = HELP.sub(lambda found: f"```text\n{output_of(found[1])}\n```", markdown)
    markdown = NOTEBOOK.sub(r"](../notebooks/\1.md)", markdown)
    return ROOM.sub(lambda found: names_of(found[1]), markdown)


def on_page_content(content: str, **kwargs: Any) -> str:
    """Turn what stands between dollars into MathML."""
    return FORMULA.sub(lambda found: mathml(html.unescape(found[2]), found[1] == "div"), content)


def mathml(formula: str, display: bool) -> str:
    """A formula in the notation of LaTeX as MathML."""
    return convert(formula.strip(), display="block" if display else "inline")


def output_of(command: str) -> str:
    """What a command prints."""
    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, COLUMNS=COLUMNS),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        main(command.split()[1:])
    # A parser may print a character and take it back.
    return re.sub(r".\x08", "", out.getvalue()).strip()


def names_of(package: str) -> str:
    """A section for each public name of a package: its docstring, read where the name is defined.

    A package that names none has a section for each module.
    """
    room = importlib.import_module(package)
    modules = [importlib.import_module(path) for path in sorted(submodules(room))]
    if not hasattr(room, "__all__"):
        return "\n".join(f"::: {module.__name__}\n    options: {{show_root_full_path: true}}\n" for module in modules)
    lines = []
    for name in room.__all__:
        value = getattr(room, name)
        home = getattr(value, "__module__", None)
        if home not in {module.__name__ for module in modules}:
            home = next((module.__name__ for module in modules if getattr(module, name, None) is value), home)
        lines.append(f"::: {home}.{name}")
        if package.endswith("callbacks") and name != "Reporting":
            lines.append(f"    options: {{filters: ['!^_', '{ROUTINE}']}}")
        lines.append("")
    return "\n".join(lines)


def submodules(package: ModuleType) -> list[str]:
    """The dotted names of a package's modules."""
    return [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures of docs/results and the notebooks to the site."""
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=page_of(notebook)))
        files.append(File.generated(config, f"notebooks/{notebook.name}", abs_src_path=str(notebook)))
    for picture in sorted(RESULTS.glob("*/*.png")):
        files.append(File.generated(config, f"results/{picture.name}", abs_src_path=str(picture)))
    return files


def page_of(notebook: Path) -> str:
    """A notebook as a page: its text, its code, and what its cells printed and showed when they were run last."""
    parts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [shown(output) for output in cell.get("outputs", ())]
    title, *rest = parts
    return "\n\n".join(
        [title, f"This page is the notebook [{notebook.name}]({notebook.name}), with its outputs.", *rest]
    )


def shown(output: dict[str, Any]) -> str:
    """An output of a cell: a picture, a table, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="" src="data:image/png;base64,{data["image/png"]}">'
    if table := re.search(r"<table.*?</table>", "".join(data.get("text/html", "")), re.DOTALL):
        return table[0]
    text = "".join(output.get("text") or data.get("text/plain", ""))
    return f"```text\n{text.rstrip()}\n```"


def gallery() -> str:
    """A section for each figure kept in docs/results: the picture, its caption, and how it was made."""
    lines = []
    for folder in sorted(path.parent for path in RESULTS.glob("*/caption.md")):
        lines += [
            f"## {folder.name}\n",
            f"![{folder.name}](results/{folder.name}.png)\n",
            (folder / "caption.md").read_text(),
        ]
        tables = ", ".join(f"`{table.name}`" for table in sorted(folder.glob("*.csv")))
        lines.append(f"What is drawn: {tables} in `docs/results/{folder.name}/`.\n")
    return "\n".join(lines)


def table_in(path: Path) -> str:
    """A table that was kept, and how it was made."""
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    lines = [[name.replace("_", " ") for name in head], ["---"] * len(head), *rows]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{table}\n\n{path.with_name('made_by.md').read_text()}"


def table_of(folder: str) -> str:
    """The configurations of a folder, each with the comment that it begins with."""
    rows = ["| file | what it is |", "|---|---|"]
    for path in sorted((ROOT / folder).glob("*.yaml")):
        lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
        about = " ".join(line.removeprefix("# ") for line in lines if not line.startswith("#  "))
        rows.append(f"| `{path.name}` | {html.escape(about.rstrip(':'))} |")
    return "\n".join(rows)
