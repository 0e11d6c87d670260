"""What the documentation says: the site builds, its links and files exist, its commands parse, the tutorial runs."""

import contextlib
import html
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import grokking_pl
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs/pages").rglob("*.md"))
TOP = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
SHORTER = {
    "fit": ("--trainer.max_steps=200", "--trainer.enable_progress_bar=false"),
    "diagram": ("--steps=20", "--workers=1", "--device=cpu", "--compile=false"),
    "theory": ("--trials=50", "--rate_trials=20", "--symbol_trials=20"),
}
SMALL_MNIST = ("--data.train_size=45", "--data.batch_size=10", "--model.architecture.width=8")


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str]]:
    """The language and the text of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words after `grok` of each command in a page, those started by torchrun and srun too."""
    lines = [
        line for language, text in blocks(page) if language == "bash" for line in text.replace("\\\n", " ").splitlines()
    ]
    words = [shlex.split(line, comments=True) for line in lines if line.split("#")[0].strip()]
    return [each[each.index("grok") + 1 :] for each in words if "grok" in each[:-1] and each[0] != "make"]


def write_files(page: Path, folder: Path) -> None:
    """Write the page's files, which are the blocks that begin with a name, and link what it finds in the repository."""
    for name in ("configs", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    for language, text in blocks(page):
        name = re.match(r"# ([\w/]+\.(?:py|yaml))\n", text)
        if name and not (folder / name[1]).exists():
            (folder / name[1]).parent.mkdir(exist_ok=True)
            (folder / name[1]).write_text(text)
        elif language == "csv":
            (folder / "klein.csv").write_text(text)


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """A directory to work in, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    command = ["mkdocs", "build", "--strict", "--config-file", "docs/mkdocs.yml", "--site-dir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_site_needs_no_network(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        text = page.read_text()
        fetched = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?((?:https?:)?//[^\"' >]+)", text)
        fetched += re.findall(r"<link\b[^>]*\bhref=[\"']?((?:https?:)?//[^\"' >]+)", text)
        assert not fetched, page
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", styles)


def test_site_holds_formulas_help_and_docstrings(site):
    theory = (site / "concepts/effective_theory.html").read_text()
    assert theory.count("<math") > 20
    assert "arithmatex" not in theory
    line = html.unescape((site / "reference/command_line.html").read_text())
    for option in ("--trainer.max_steps", "--observe.every_n_steps", "--rate_trials", "--jobs", "--output"):
        assert option in line
    for room in ("tasks", "data", "models", "training", "metrics", "theory", "callbacks", "runs"):
        text = (site / f"reference/{room}.html").read_text()
        package = __import__(f"grokking_pl.{room}", fromlist=["__all__"])
        missing = [name for name in package.__all__ if not re.search(rf'id="grokking_pl\.[\w.]*\b{name}"', text)]
        assert not missing, room


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=names)
def test_commands_parse(grok, at_work, page):
    write_files(page, at_work)
    for words in commands(page):
        command = words[0]
        if command in ("fit", "validate", "test", "predict", "diagram", "theory"):
            status, out, err = grok(*words, *([] if "--print_config" in words else ["--print_config"]))
            assert status == 0, f"{words}: {err}"
            assert re.search("^(seed_everything|base|task):", out, re.MULTILINE), words
        elif command == "sweep":
            status, out, err = grok(*words, *([] if "--check" in words else ["--check"]))
            assert (status, "is valid" in out) == (0, True), f"{words}: {err}"
        elif command in ("report", "compare", "measure"):
            # It parses, and finds that nothing has been run here.
            status, _, err = grok(*words)
            assert (status, "does not exist" in err) == (2, True), f"{words}: {err}"
        else:
            status, _, err = grok(*words)
            assert status == 0, f"{words}: {err}"


def test_files_and_targets_named_exist():
    text = "\n".join(page.read_text() for page in (*PAGES, *TOP))
    named = set(re.findall(r"(?<![\w/.-])(?:configs|callbacks|scripts|docs|grokking_pl|tests)/[\w/]*\w\.\w+", text))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    folders = set(re.findall(r"`((?:configs|callbacks|scripts|docs|grokking_pl|tests)/[\w/]*)`", text)) - {
        "docs/site"
    }  # which is built
    assert [name for name in sorted(folders) if not (ROOT / name).exists()] == []
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([\w-]+)", text, re.MULTILINE)) <= targets
    scripts = set(re.findall(r"^python (\S+\.py)", text, re.MULTILINE)) - {"make_product.py"}
    assert [name for name in sorted(scripts) if not (ROOT / name).exists()] == []


def test_every_configuration_and_figure_is_documented(site):
    page = (site / "reference/configurations.html").read_text()
    assert [path for path in ROOT.glob("configs/**/*.yaml") if f"<code>{path.name}</code>" not in page] == []
    for page in ("how_to/figures.md", "reproduction.md"):
        text = (ROOT / "docs/pages" / page).read_text()
        assert [path for path in ROOT.glob("scripts/figure?.py") if f"scripts/{path.name}" not in text] == []


@pytest.mark.parametrize("page", [*TOP, *PAGES], ids=names)
def test_links_of_pages_read_in_the_repository(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    assert [link for link in links if not link.startswith("http") and not (page.parent / link).exists()] == []


def test_words_are_those_of_the_code():
    """Names of columns and keys in the page of files are those that the code writes."""
    page = (ROOT / "docs/pages/reference/files.md").read_text()
    sources = "\n".join(
        path.read_text() for room in ("callbacks", "grokking_pl") for path in (ROOT / room).rglob("*.py")
    )
    words = {word for word in re.findall(r"`([a-z]\w*_\w+)`", page) if "q05" not in word and "q95" not in word}
    assert len(words) > 30
    made_of_parts = {"weight_norm_embeddings", "weight_norm_decoder", "steps_to_train", "steps_to_val"}
    made_of_parts |= {"steps_to_train_X", "steps_to_val_X", "irrep_power_N"}
    assert [word for word in sorted(words - made_of_parts) if not re.search(rf"\b{word}\b", sources)] == []


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == grokking_pl.__version__
    assert citation["preferred-citation"]["title"] in (ROOT / "README.md").read_text()
    assert f"## {grokking_pl.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def run_python(text: str, **given: object) -> str:
    """What a block of Python prints, without spaces at the ends of lines."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, "block", "exec"), {"__name__": "block", **given})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def run_block(grok, folder: Path, language: str, text: str) -> str:
    """Run a block of a page, with fewer steps; return what it prints."""
    if language == "python":
        return "" if (folder / text.split("\n")[0].removeprefix("# ")).is_file() else run_python(text)
    printed = ""
    for line in text.splitlines() if language == "bash" else ():
        words = shlex.split(line, comments=True)
        if words[0] == "grok":
            shorter = () if "--print_config" in words else SHORTER.get(words[1], ())
            if "--ckpt_path" in words and words[1] == "fit":
                shorter = ("--trainer.max_steps=300", *shorter[1:])
            small = SMALL_MNIST if "configs/mnist_grok.yaml" in words else ()
            status, out, err = grok(*words[1:], *small, *shorter)
            assert status == 0, f"{line}: {err}"
            printed += "" if {"--help", "--print_config"} & {*words} else out + err
        elif words[0] == "python":
            printed += subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True, text=True).stdout
        elif words[0] == "ls":
            printed += "  ".join(sorted(path.name for path in Path(words[1]).iterdir())) + "\n"
        else:
            assert words in (["make", "grok"], [".", ".venv/bin/activate"]), line
    return printed


def labels(text: str) -> list[str]:
    """Lines without what differs from run to run: the words of a table's first column, or of a line without numbers."""
    rows = [re.match(r"  ([a-z]+(?: [a-z]+)*)  ", line) for line in text.splitlines()]
    return [row[1] for row in rows if row]


def test_tutorial(grok, at_work):
    """Every block in its order: commands with fewer steps, whose tables have the rows that are shown."""
    page = ROOT / "docs/pages/tutorial.md"
    write_files(page, at_work)
    printed = ""
    for language, text in blocks(page):
        if language == "text":
            assert labels(text) in ([], labels(printed))
            first = text.splitlines()[0]
            if first.startswith(("run folder", "report in", "diagram in", "checkpoints")):
                assert re.sub(r"[12] process.*|, \d+ training and .*", "", first) in printed
            if first.startswith("15 samples"):
                assert text == printed
        else:
            printed = run_block(grok, at_work, language, text)
    # What the other pages do with such a run.
    for name in ("how_to/resume.md", "how_to/figures.md"):
        for language, text in blocks(ROOT / "docs/pages" / name):
            if language == "python":
                run_python(text)


def test_main_command_is_that_of_make():
    shown = subprocess.run(
        ["make", "--no-print-directory", "-n", "grok", "ARGS="], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert shown.splitlines()[-1].strip().endswith("grok fit --config configs/mnist_grok.yaml --ckpt_path auto")


def test_own_data(grok, at_work):
    page = ROOT / "docs/pages/how_to/own_data.md"
    write_files(page, at_work)
    for language, text in blocks(page):
        run_block(grok, at_work, language, text)
    assert (at_work / "runs/klein/summary.json").exists()
    assert (at_work / "runs/product/summary.json").exists()


def test_an_optimizer_of_ones_own(grok, at_work):
    """The class of the page trains, and its state is in the checkpoint."""
    page = ROOT / "docs/pages/how_to/optimizers.md"
    write_files(page, at_work)
    (words,) = [words for words in commands(page) if "my_optimizers.SignMomentum" in words]
    status, _, err = grok(*words, "--trainer.max_steps=5", "--trainer.enable_progress_bar=false")
    assert status == 0, err
    checkpoint = torch.load(at_work / "runs/sign_momentum/checkpoints/last.ckpt")
    assert "'average'" in str(checkpoint["optimizer_states"])


def test_callbacks_are_replaced_as_said(grok, at_work):
    page = ROOT / "docs/pages/how_to/extend.md"
    write_files(page, at_work)
    (words,) = [words for words in commands(page) if "--trainer.callbacks+=EmbeddingNorm" in words]
    status, out, err = grok(*words, "--print_config")
    assert status == 0, err
    callbacks = yaml.safe_load(out)["trainer"]["callbacks"]
    assert [each["class_path"].rpartition(".")[2] for each in callbacks] == ["PhaseTracker", "EmbeddingNorm"]
    assert callbacks[0]["init_args"]["every_n_steps"] == 100


def test_examples_of_the_concepts():
    page = blocks(ROOT / "docs/pages/concepts/representation.md")
    (code,) = [text for language, text in page if language == "python"]
    (shown,) = [text for language, text in page if language == "text"]
    assert run_python(code) == shown
    page = blocks(ROOT / "docs/pages/concepts/effective_theory.md")
    (code,) = [text for language, text in page if language == "python"]
    run_python(code, train_indices=torch.arange(45))
