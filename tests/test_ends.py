"""Where a run ends, however it ends: all that it learnt is kept, and its records say what happened."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import matplotlib
import pandas as pd
import pytest
import torch

from grokking_pl.commands.main import main
from grokking_pl.runs import RunFolder
from tests.conftest import ROOT
from tests.sampling import sampled

TOY = [
    "--config", str(ROOT / "configs/toy_2d_addition.yaml"), "--model.architecture.width=8", "--trainer.logger=[]",
    "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=10",
]  # fmt: skip
FIGURES = ["--trainer.callbacks+=LotteryTicket", "--trainer.callbacks+=EffectiveTheory"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_summary(folder: Path) -> dict:
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((folder / "summary.json").read_text(), parse_constant=refuse)


class StopsAt13(pl.Callback):
    """Ends a run without saying why."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.should_stop = trainer.should_stop or trainer.global_step >= 13


EARLY = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val_loss", "--data.steps_per_epoch=11"]
DECIDED = ["--trainer.callbacks=PhaseTracker", "--trainer.callbacks.stop_when_decided=true"]
ENDS = {
    "max_steps": (23, "max_steps", ["--trainer.max_steps=23"]),
    "max_epochs": (22, "max_epochs", ["--trainer.max_epochs=2", "--data.steps_per_epoch=11"]),
    "early stopping": (
        22,
        "EarlyStopping: Monitored metric val_loss did not improve in the last 1 records",
        [*EARLY, "--trainer.callbacks.patience=1", "--trainer.callbacks.min_delta=99"],
    ),
    "phase decided": (
        17,
        "PhaseTracker: phase decided",
        [*DECIDED, "--trainer.callbacks.budget=17", "--trainer.callbacks.every_n_steps=1"],
    ),
    "should_stop": (13, "should_stop", [f"--trainer.callbacks+={__name__}.StopsAt13"]),
}


@pytest.mark.parametrize("end", sampled(ENDS, 2))
def test_the_end_is_where_the_loop_ends(grok, tmp_path, end):
    steps, reason, options = ENDS[end]
    status, out, err = grok("fit", *TOY, *options, "--run_dir", tmp_path)
    assert status == 0, err
    summary, last = read_summary(tmp_path), pd.read_csv(tmp_path / "metrics.csv").iloc[-1]
    assert (summary["status"], summary["steps"]) == ("finished", steps)
    assert summary["ended_by"].startswith(reason)
    assert torch.load(RunFolder(tmp_path).checkpoint)["global_step"] == last.step == steps
    assert summary["val_loss"] == last.val_loss
    assert ("ended by" in out) == (end != "max_steps")

    # The same command finds nothing left to do, and one that was killed before its end had none of its files.
    before = contents(tmp_path)
    status, out, err = grok("fit", *TOY, *options, "--run_dir", tmp_path, "--ckpt_path=last")
    assert (status, out) == (0, "")
    assert len(err.splitlines()) == 1
    assert "finished run, and nothing is left to train" in err
    assert contents(tmp_path) == before

    (tmp_path / "summary.json").unlink()
    assert grok("fit", *TOY, *options, "--run_dir", tmp_path, "--ckpt_path=last")[0] == 0
    again = read_summary(tmp_path)
    assert {**again, "seconds": 0} == {**summary, "seconds": 0}
    after = contents(tmp_path)
    for name in before.keys() - {"summary.json", "checkpoints/last.ckpt"}:
        assert after[name] == before[name], name


def test_a_run_that_time_stops_says_so_and_goes_on(grok, tmp_path):
    steps = [0]
    options = ["--trainer.max_time=00:00:00:01", "--trainer.max_steps=1000000", "--run_dir", tmp_path]
    for resume in ([], ["--ckpt_path=last"]):
        status, _, err = grok("fit", *TOY, *options, *resume)
        assert status == 0, err
        summary = read_summary(tmp_path)
        assert (summary["status"], summary["ended_by"]) == ("interrupted", "max_time")
        steps.append(torch.load(RunFolder(tmp_path).checkpoint)["global_step"])
        assert f"stopped by max_time at step {steps[-1]}; to resume, run the same command with --ckpt_path last" in err
        assert steps[-1] == summary["steps"] == pd.read_csv(tmp_path / "metrics.csv").step.iloc[-1]
    assert steps == sorted(set(steps))
    assert (tmp_path / "curves.png").exists()


STATES = {"fresh": None, "finished": "finished", "stopped": "interrupted"}


@pytest.mark.parametrize("state", STATES)
def test_a_trial_writes_nothing(grok, tmp_path, monkeypatch, state):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    command = ["fit", *TOY, *FIGURES, "--trainer.callbacks+=ModelCheckpoint", "--run_dir", folder]
    if STATES[state]:
        assert grok(*command, "--trainer.max_steps=10")[0] == 0
        summary = RunFolder(folder).read_summary()
        RunFolder(folder).write_summary({**summary, "status": STATES[state]})
    before = contents(tmp_path)
    for more in ([], ["--ckpt_path=last"] if STATES[state] else [], ["--trainer.logger=true"]):
        status, out, err = grok(*command, "--trainer.fast_dev_run=true", *more)
        assert (status, out) == (0, ""), err
        assert err.startswith("a trial, of which nothing is written")
        assert contents(tmp_path) == before
    assert folder.exists() == bool(STATES[state])


def use_latex(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)


def do_nothing(monkeypatch):
    pass


SMALLEST = ["--data.task.p=2", "--data.train_fraction=null"]
MISHAPS = {  # options, what is wrong beside them, the figures that cannot be drawn
    "no LaTeX": ([], use_latex, ["curves.png", "embeddings.png", "lottery_ticket.png", "trajectories.png"]),
    "one equation": ([*SMALLEST, "--data.train_count=1"], do_nothing, []),
    "two equations": ([*SMALLEST, "--data.train_count=2"], do_nothing, []),
    "half precision": (["--trainer.precision=bf16-true", "--trainer.callbacks+=FourierSpectrum"], do_nothing, []),
    "markup": (["--run_dir=r[/b]"], do_nothing, []),
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_mishap_after_training_costs_a_line(grok, tmp_path, monkeypatch, mishap):
    monkeypatch.chdir(tmp_path)
    options, break_something, lost = MISHAPS[mishap]
    break_something(monkeypatch)
    status, out, err = grok("fit", *TOY, *FIGURES, "--trainer.max_steps=10", "--run_dir=run", *options)
    assert status == 0, err
    folder = Path("r[/b]" if mishap == "markup" else "run")
    assert read_summary(folder)["status"] == "finished"
    assert str(folder) in out
    lines = [line for line in err.splitlines() if line.startswith("grok: ")]
    assert sorted(line.split()[2] for line in lines) == lost
    for name in ("embeddings.png", "embeddings.npz", "lottery_ticket.png", "trajectories.png"):
        assert (folder / name).exists() == (name not in lost), name


def test_a_full_disk_under_the_table_costs_a_line(tmp_path):
    err = io.StringIO()
    with open("/dev/full", "w") as full, contextlib.redirect_stdout(full), contextlib.redirect_stderr(err):
        main(["fit", *TOY, "--trainer.max_steps=10", f"--run_dir={tmp_path}"])
    assert err.getvalue().count("grok: no table on the terminal (OSError: [Errno 28]") == 1
    assert read_summary(tmp_path)["status"] == "finished"


def test_a_broken_environment_costs_a_line(tmp_path):
    """A backend of matplotlib that is not installed, warnings that are errors, and a table that nobody reads."""
    process = subprocess.Popen(
        [sys.executable, "-m", "grokking_pl", "fit", *TOY, "--trainer.max_steps=10", "--run_dir", tmp_path / "run"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "MPLBACKEND": "module://no_such_backend", "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0, err
    assert err.count("grok: no table on the terminal (BrokenPipeError") == 1
    assert "Traceback" not in err
    assert read_summary(tmp_path / "run")["status"] == "finished"
