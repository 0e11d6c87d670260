"""What the README says can be done, done."""

import json
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("grok ")]


def test_own_callback(grok, tmp_path, monkeypatch):
    (code,) = blocks("python")
    (command,) = [words for words in commands() if any("spread.Spread" in word for word in words)]
    (tmp_path / "spread.py").write_text(code)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    status, _, err = grok(*command, "--trainer.max_steps=200", "--trainer.enable_progress_bar=false")
    assert status == 0, err
    assert json.loads((tmp_path / "runs/spread/summary.json").read_text())["spread"] > 0
    assert "spread" in (tmp_path / "runs/spread/metrics.csv").read_text().splitlines()[0].split(",")


def test_commands_parse(grok, monkeypatch):
    monkeypatch.chdir(ROOT)
    checked = [words for words in commands() if words[0] == "fit" and not any("spread" in word for word in words)]
    assert checked
    for words in checked:
        status, out, err = grok(*words, *([] if "--print_config" in words else ["--print_config"]))
        assert status == 0, err
        assert "seed_everything" in out


def test_files_named_exist():
    named = set(re.findall(r"(?:configs|callbacks|scripts|docs|grokking_pl)/[\w/]+\.\w+", README))
    assert len(named) > 5
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_fits_on_a_few_screens():
    assert len(README.splitlines()) < 200
