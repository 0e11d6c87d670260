"""W&B's own programs `wandb sweep` and `wandb agent` run `grok fit`, against a server on this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from grokking_pl.runs.kept_checkpoints import is_log_spaced
from tests.conftest import ROOT
from tests.wandb_server import ENTITY, SWEEP, WandbServer

BIN = Path(sys.executable).parent

EARLY = [step for step in range(1, 100) if is_log_spaced(step)]
"""Steps that are logged in the first log interval."""


@pytest.fixture
def wandb_program(tmp_path):
    """Run a W&B program where the user works, with nothing of W&B in the environment but a server."""

    def run(server: WandbServer, *words: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        environment |= server.environment() | {"HOME": str(tmp_path), "PATH": f"{BIN}:{os.environ['PATH']}"}
        (tmp_path / "configs").is_symlink() or (tmp_path / "configs").symlink_to(ROOT / "configs")
        ended = subprocess.run(
            [BIN / "wandb", *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    return run


def sweep_and_agent(wandb_program, server: WandbServer, file: str) -> None:
    said = wandb_program(server, "sweep", file)
    assert f"wandb agent {ENTITY}/grokking/{SWEEP}" in re.sub(r"\x1b\[\d+m", "", said)
    wandb_program(server, "agent", f"{ENTITY}/grokking/{SWEEP}")
    assert server.unknown == []


def test_sweep_and_agent(wandb_program, tmp_path):
    plan = [
        {"model.decoder.lr": 1e30, "model.decoder.weight_decay": 3, "trainer.max_steps": 200},
        {"model.decoder.lr": 1e-3, "model.decoder.weight_decay": 0, "trainer.max_steps": 1000},
    ]
    with WandbServer(plan) as server:
        sweep_and_agent(wandb_program, server, "configs/sweeps/toy_grid.yaml")

    assert server.sweep_config == yaml.safe_load((ROOT / "configs/sweeps/toy_grid.yaml").read_text())
    assert server.started == list(server.runs) == ["run0", "run1"]
    failed, good = server.runs.values()
    assert (failed.exit_code, good.exit_code) == (1, 0)
    for run, parameters in zip(server.runs.values(), plan, strict=True):
        assert run.sweep == SWEEP
        assert {name: run.config[name] for name in parameters} == parameters
        assert run.config["model.architecture"] == "grokking_pl.models.ToyModel"

    # The name and the folder tell the parameters.
    name = "decoder.lr=0.001,decoder.weight_decay=0,trainer.max_steps=1000"
    assert good.display_name == name
    folder = tmp_path / f"runs/sweeps/{SWEEP}/{name}_run1"
    assert (folder / "summary.json").exists()
    assert len(list(folder.parent.iterdir())) == 2

    # Metrics, under the number of updates made.
    accuracies = {row["trainer/global_step"]: row["val_accuracy"] for row in good.history if "val_accuracy" in row}
    assert list(accuracies) == [0, *EARLY, *range(100, 1001, 100)]

    # The outcome: what W&B's parallel coordinates are drawn from.
    assert good.summary["phase"] == "memorization"
    assert good.summary["status"] == "finished"
    assert good.summary["val_accuracy"] == pytest.approx(accuracies[1000])
    assert good.summary["best_val_accuracy"] >= max(accuracies.values())
    assert good.summary["steps_to_train"] > 600
    assert "steps_to_val" not in good.summary
    assert failed.summary["status"] == "failed"

    # Figures and tables.
    media = [name for name in good.files if name.startswith("media/")]
    kinds = sorted(re.sub(r"_\d+_\w+", "", name) for name in media)
    assert kinds == [
        "media/images/curves.png", "media/images/embeddings.png", "media/table/final_embeddings.table.json",
    ]  # fmt: skip
    assert all(good.files[name].startswith(b"\x89PNG") for name in media if name.endswith(".png"))
    (points,) = (yaml.safe_load(good.files[name]) for name in media if "table" in name)
    assert points["columns"] == ["symbol", "dimension 0"]
    assert [row[0] for row in points["data"]] == [str(symbol) for symbol in range(10)]


@pytest.mark.slow
def test_early_termination(wandb_program, tmp_path):
    endless = {"model.architecture.width": 8, "trainer.max_steps": 10**8}
    plan = [{"model.decoder.lr": 1e-3, **endless}, {"model.decoder.lr": 1e-3, "trainer.max_steps": 100}]

    def lags_behind(run) -> bool:
        return run.config["trainer.max_steps"] == 10**8 and any("val_accuracy" in row for row in run.history)

    with WandbServer(plan, stop_when=lags_behind) as server:
        sweep_and_agent(wandb_program, server, "configs/sweeps/toy_random.yaml")
    assert server.sweep_config["early_terminate"]["type"] == "hyperband"
    stopped, last = server.runs.values()
    assert (stopped.exit_code, last.exit_code) == (255, 0)
    assert stopped.summary["status"] == "interrupted"
    (folder,) = (tmp_path / f"runs/sweeps/{SWEEP}").glob("*_run0")
    assert (folder / "checkpoints/last.ckpt").exists()


@pytest.mark.slow
def test_each_run_on_two_processes(wandb_program, tmp_path):
    plan = [{"model.decoder.lr": lr, "model.architecture.width": 8, "trainer.max_steps": 100} for lr in (1e-3, 1e-2)]
    with WandbServer(plan) as server:
        sweep_and_agent(wandb_program, server, "configs/sweeps/toy_grid_two_processes.yaml")
    assert list(server.runs) == ["run0", "run1"]
    for run, parameters in zip(server.runs.values(), plan, strict=True):
        assert run.exit_code == 0
        assert run.summary["devices"] == 2
        assert run.config["model.decoder.lr"] == parameters["model.decoder.lr"]
        assert [row["trainer/global_step"] for row in run.history if "val_accuracy" in row] == [0, *EARLY, 100]
    # With its own settings on one process, each run has the same outcome.
    alone = {}
    for number, parameters in enumerate(plan):
        words = [f"--{name}={value}" for name, value in parameters.items()]
        subprocess.run(
            [BIN / "grok", "fit", "--config", "configs/toy_addition.yaml", *words, "--run_dir", tmp_path / str(number)],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        alone[number] = yaml.safe_load((tmp_path / f"{number}/summary.json").read_text())
        ours = server.runs[f"run{number}"].summary
        assert ours["train_accuracy"] == alone[number]["train_accuracy"]
        assert ours["train_loss"] == pytest.approx(alone[number]["train_loss"], rel=1e-4)
    assert alone[0]["train_loss"] != pytest.approx(alone[1]["train_loss"], rel=1e-2)
