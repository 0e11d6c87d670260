"""What the README says can be done, done: every command in it is run, shortened, in the order of the page."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SHORTER = {
    "fit": ("--trainer.max_steps=2", "--trainer.enable_progress_bar=false"),
    "validate": (),
    "diagram": ("--steps=2", "--workers=1", "--device=cpu", "--compile=false"),
    "theory": ("--trials=50", "--rate_trials=20", "--symbol_trials=20", "--symbols=[4, 6]"),
    "sweep": ("--check",),
    "report": (),
    "compare": (),
    "configs": (),
    "completion": (),
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """The words after a program's name of each command, in blocks and in the text, once each."""
    text = "\n".join(f"`{line}`" for block in blocks("bash") for line in block.splitlines())
    found = re.findall(rf"`{program} ([^`\n]+)`", re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S) + text)
    return [shlex.split(command, comments=True) for command in dict.fromkeys(found)]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder where a user works, which sees the project's experiments."""
    for name in ("configs", "scripts", "callbacks"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_grok(grok, workplace):
    (code,) = blocks("python")
    (workplace / "spread.py").write_text(code)
    found = commands("grok")
    assert {words[0] for words in found} == set(SHORTER)
    # What a command of the page finds there is made by one that stands above it, or by `make grok`.
    for words in sorted(found, key=lambda words: words[0] in ("validate", "report", "compare")):
        small = ["--model.architecture.width=16"] if "transformer" in words[-1] and words[0] == "fit" else []
        status, _, err = grok(*words, *small, *(() if "--print_config" in words else SHORTER[words[0]]))
        assert status == 0, (words, err)
    assert (workplace / "runs/mnist_grok/report.html").exists()


def test_own_callback(grok, workplace):
    (code,) = blocks("python")
    (command,) = [words for words in commands("grok") if any("spread.Spread" in word for word in words)]
    (workplace / "spread.py").write_text(code)
    status, _, err = grok(*command, "--trainer.max_steps=200", "--trainer.enable_progress_bar=false")
    assert status == 0, err
    assert json.loads((workplace / "runs/spread/summary.json").read_text())["spread"] > 0
    assert "spread" in (workplace / "runs/spread/metrics.csv").read_text().splitlines()[0].split(",")


def test_every_script_and_target_exists(monkeypatch, capsys):
    scripts = {words[0] for words in commands("python")}
    assert scripts
    monkeypatch.syspath_prepend(ROOT / "scripts")
    for name in scripts:
        monkeypatch.setattr("sys.argv", [name, "--help"])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(ROOT / name), run_name="__main__")
        assert left.value.code == 0
        assert "usage: " in capsys.readouterr().out
    targets = commands("make")
    assert ["grok"] in targets
    makefile = (ROOT / "Makefile").read_text()
    assert [words for words in targets if f"\n{words[0]}:" not in makefile] == []


def test_files_named_exist():
    named = set(re.findall(r"(?:configs|callbacks|scripts|docs|grokking_pl)/[\w/]+\.\w+", README))
    assert len(named) > 5
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_fits_on_a_few_screens():
    assert len(README.splitlines()) < 200
