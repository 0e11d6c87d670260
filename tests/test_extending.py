"""A user's package outside the repository, made from the page on extending as it is printed, and run as it says."""

import csv
import json
import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/pages/how_to/extend.md").read_text()
FILES = dict(re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
SEQUENTIAL = """
import torch
from mylab.models import ProductModel

class Undecided(ProductModel):
    def forward(self, pairs):
        outputs = super().forward(pairs)
        return outputs if outputs.sum() > 0 else outputs - outputs.mean()
"""


@pytest.fixture
def laboratory(tmp_path, monkeypatch):
    """The directory that holds the package and the experiments, where the user works."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "mylab/sequential.py").write_text(SEQUENTIAL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "mylab"]:
        del sys.modules[name]


def command(word: str) -> list[str]:
    (found,) = [words for words in COMMANDS if word in words]
    return found


def test_each_of_the_five_is_short():
    sources = [text for name, text in FILES.items() if name.endswith(".py")]
    assert len(sources) == 5
    assert max(len([line for line in text.splitlines() if line.strip()]) for text in sources) < 30


def test_single_and_two_processes(grok, grok_process, laboratory):
    first = next(words for words in COMMANDS if words[0] == "fit" and "--run_dir" not in words)
    two = grok_process(*command("runs/two_processes"), "--trainer.enable_progress_bar=false", cwd=laboratory)
    status, _, err = grok(*first, "--trainer.enable_progress_bar=false")
    assert status == 0, err
    _, err = two.communicate(timeout=200)
    assert two.returncode == 0, err

    folders = [laboratory / "runs/divisors", laboratory / "runs/two_processes"]
    one, other = (json.loads((folder / "summary.json").read_text()) for folder in folders)
    assert (one["status"], one["steps"], one["devices"], other["devices"]) == ("finished", 400, 1, 2)
    assert one["train_accuracy"] > 0.9
    for name in ("phase", "steps_to_train", "steps_to_val", "train_accuracy", "val_accuracy"):
        assert one[name] == other[name], name
    assert other["travelled"] == pytest.approx(one["travelled"], rel=1e-4)
    assert one["travelled"] > 1
    logged = [pd.read_csv(folder / "metrics.csv").dropna(subset="travelled") for folder in folders]
    assert logged[0].step.tolist() == logged[1].step.tolist() == [0, 100, 200, 300, 400]
    pd.testing.assert_series_equal(logged[0].travelled, logged[1].travelled, rtol=1e-4)
    assert logged[0].travelled.iloc[-1] == pytest.approx(one["travelled"])
    checkpoints = [torch.load(folder / "checkpoints/last.ckpt") for folder in folders]
    starts = [checkpoint["callbacks"]["Travelled"]["state"]["start"] for checkpoint in checkpoints]
    assert torch.equal(*starts)


def test_a_loss_of_ones_own_is_trained_and_measured(grok, laboratory):
    words = command("runs/one_hot")
    status, _, err = grok(*words, "--trainer.enable_progress_bar=false")
    assert status == 0, err
    summary = json.loads((laboratory / "runs/one_hot/summary.json").read_text())
    assert summary["train_accuracy"] > 0.5
    status, out, err = grok("validate", *words[1:])
    assert status == 0, err
    accuracy, loss = (float(re.findall(rf"val_{name} +│ +([\d.]+)", out)[0]) for name in ("accuracy", "loss"))
    assert accuracy == pytest.approx(summary["val_accuracy"])
    assert loss > 0


def test_a_callback_with_an_option_of_its_own(grok, laboratory):
    """The option is set by name; the finished run is measured again with another radius."""
    status, _, err = grok(*command("4"), "--trainer.max_steps=2", "--trainer.enable_progress_bar=false")
    assert status == 0, err
    shares = pd.read_csv(laboratory / "runs/outside/metrics.csv").outside.dropna()
    assert shares.iloc[-1] == json.loads((laboratory / "runs/outside/summary.json").read_text())["outside"]
    assert 0 < shares.iloc[-1] < 1
    (words,) = [words for words in COMMANDS if words[0] == "measure"]
    status, _, err = grok(*words)
    assert status == 0, err
    assert pd.read_csv(laboratory / "runs/outside/measures.csv").outside.iloc[-1] < shares.iloc[-1]


def test_diagram(grok, laboratory):
    status, _, err = grok(*COMMANDS[-1], "--workers=1", "--compile=false", "--device=cpu")
    assert status == 0, err
    with open(laboratory / "runs/diagrams/divisors_diagram/runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model.architecture.width"] for row in rows] == ["16", "32", "16", "32"]
    assert [row["model.loss"] for row in rows] == 2 * ["cross_entropy"] + 2 * ["mylab.losses.OneHotError"]
    assert all(float(row["train_accuracy"]) > 0.2 for row in rows)


def test_diagram_of_an_architecture_that_decides_by_values(grok, laboratory):
    options = ("--set={model.architecture: mylab.sequential.Undecided}", "--steps=3", "--workers=1", "--device=cpu")
    for compiled in ("false", "true"):
        folder = laboratory / f"compiled_{compiled}"
        status, _, err = grok(*COMMANDS[-1], *options, f"--compile={compiled}", "--folder", folder)
        errors = [line for line in err.splitlines() if line.startswith("grok: error: ")]
        assert status == 2
        assert len(errors) == 1
        assert "Undecided" in errors[0]
        assert "vmap" in errors[0]
    status, _, err = grok(
        *COMMANDS[0], "--model.architecture=mylab.sequential.Undecided", "--run_dir=runs/undecided",
        "--trainer.max_steps=3", "--trainer.enable_progress_bar=false",
    )  # fmt: skip
    assert status == 0, err
