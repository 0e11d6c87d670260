"""A user's files are never taken for Python's own: where a user works comes last, in every process that is started."""

import csv
import subprocess
import sys

import pytest
import yaml

from grokking_pl.runs.job import GROK
from tests.conftest import ROOT

SHADOWS = ("random", "yaml", "signal", "tempfile", "socket", "queue", "tasks")
TINY = [
    "--model.architecture.width=8", "--trainer.max_steps=4", "--trainer.enable_progress_bar=false",
    "--trainer.logger=[]", "--trainer.callbacks=PhaseTracker", "--trainer.callbacks+=mine.Mine",
]  # fmt: skip
COMMANDS = {
    "fit": ["fit", f"--config={ROOT}/configs/toy_addition.yaml", "--run_dir=run", *TINY],
    "fit on two processes": [
        "fit", f"--config={ROOT}/configs/toy_addition.yaml", "--run_dir=run", *TINY, "--trainer.devices=2",
        "--trainer.accelerator=cpu",
    ],
    "sweep": ["sweep", "sweep.yaml"],
    "diagram": ["diagram", "--config=diagram.yaml", "--workers=2", "--folder=run", "--compile=false", "--device=cpu"],
}  # fmt: skip


@pytest.fixture
def work(tmp_path):
    """A folder with modules that are named like Python's, and one callback and one network of the user's."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name}.py of the user was taken for another')\n")
    (tmp_path / "mine.py").write_text(
        "from lightning.pytorch import Callback\n"
        "from grokking_pl.models import ToyModel\n"
        "class Mine(Callback):\n"
        "    def on_train_end(self, trainer, pl_module):\n"
        "        print('mine was here')\n"
        "class Network(ToyModel):\n"
        "    pass\n"
    )
    command = ["${program}", "fit", f"--config={ROOT}/configs/toy_addition.yaml", *TINY, "${args}"]
    sweep = {
        "program": "grok",
        "method": "grid",
        "command": command,
        "parameters": {"seed_everything": {"values": [1]}},
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    diagram = {
        "base": f"{ROOT}/configs/toy_addition.yaml", "steps": 5,
        "set": {"model.architecture": "mine.Network", "model.architecture.width": 8},
        "axes": {"model.decoder.lr": [0.1, 0.01]},
    }  # fmt: skip
    (tmp_path / "diagram.yaml").write_text(yaml.safe_dump(diagram))
    return tmp_path


QUICK = ("fit",)
"""The longer ones are marked slow."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]
)
def test_python_s_own_modules_come_first(work, name):
    done = subprocess.run([*GROK, *COMMANDS[name]], cwd=work, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if name == "diagram":
        with open(work / "run/runs.csv", newline="") as file:
            assert len(list(csv.DictReader(file))) == 2
    elif name == "sweep":
        logs = list((work / "runs/sweeps/sweep/runs").glob("*.log"))
        assert any("mine was here" in log.read_text() for log in logs)
    else:
        assert "mine was here" in done.stdout


def test_by_module_too(work):
    done = subprocess.run(
        [sys.executable, "-m", "grokking_pl", "theory", f"--config={ROOT}/configs/theory_addition.yaml", "--trials=5",
         "--rate_trials=5", "--symbols=[]", "--folder=theory"],
        cwd=work, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
