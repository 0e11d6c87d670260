"""Every experiment on several processes; going on with another number of them; a process that is killed; SLURM."""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch

from grokking_pl.callbacks import Reporting
from tests.children import children
from tests.conftest import ROOT, SMALL_MNIST

EXPERIMENTS = sorted(
    path for path in (ROOT / "configs").glob("*.yaml")
    if not path.name.startswith("theory_") and "dropout" not in path.name
)  # fmt: skip
DOUBLE = ["--trainer.precision=64-true"]
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.callbacks+=RunCheckpoint"]


def torchrun(processes: int, runs: list[list[str]], timeout: float = 900) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
         str(ROOT / "tests/many_runs.py"), json.dumps([[str(word) for word in words] for words in runs])],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-6000:]


def outcome(folder: Path) -> tuple[dict, pd.DataFrame, dict]:
    summary = json.loads((folder / "summary.json").read_text())
    return summary, pd.read_csv(folder / "metrics.csv"), torch.load(folder / "checkpoints/last.ckpt")


def assert_same(one: Path, other: Path, tolerance: float) -> None:
    (ours, our_metrics, our_state), (theirs, their_metrics, their_state) = outcome(one), outcome(other)
    assert ours["status"] == theirs["status"] == "finished"
    for name in ("phase", "steps", "steps_to_train", "steps_to_val", "train_accuracy", "val_accuracy"):
        assert ours[name] == theirs[name], name
    assert our_metrics.step.tolist() == their_metrics.step.tolist()
    assert list(our_metrics) == list(their_metrics)
    for name, weight in our_state["state_dict"].items():
        torch.testing.assert_close(their_state["state_dict"][name], weight, atol=tolerance, rtol=tolerance)


@pytest.mark.slow
def test_torchrun_full_batches_and_minibatches(grok, tmp_path):
    """Full batches, and batches whose size no number of processes divides, in double precision: the same weights."""
    toy = ["--config", ROOT / "configs/toy_addition.yaml", "--trainer.max_steps=100", *QUIET, *DOUBLE]
    images = [*SMALL_MNIST, *QUIET, *DOUBLE]  # 45 images in batches of 10
    single = []
    for name, options in (("toy", toy), ("images", images)):
        assert grok("fit", *options, "--run_dir", tmp_path / name)[0] == 0
        single.append(["fit", *options, "--trainer.devices=2", "--run_dir", tmp_path / f"{name}_2"])
    torchrun(2, single)
    for name in ("toy", "images"):
        assert outcome(tmp_path / f"{name}_2")[0]["devices"] == 2
        assert_same(tmp_path / name, tmp_path / f"{name}_2", 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_every_experiment(grok, tmp_path, processes):
    runs = []
    for path in EXPERIMENTS:
        options = ["--config", path, "--trainer.max_steps=20", "--trainer.log_every_n_steps=10", *QUIET, *DOUBLE]
        status, _, err = grok("fit", *options, "--run_dir", tmp_path / path.stem)
        assert status == 0, err
        folder = tmp_path / f"{path.stem}_many"
        runs.append(["fit", *options, f"--trainer.devices={processes}", "--run_dir", folder])
    torchrun(processes, runs)
    for path in EXPERIMENTS:
        assert_same(tmp_path / path.stem, tmp_path / f"{path.stem}_many", 1e-6)


@pytest.mark.slow
def test_checkpoint_of_two_processes_goes_on_with_one_and_three(grok, tmp_path):
    options = [*SMALL_MNIST, *QUIET, *DOUBLE]
    assert grok("fit", *options, "--trainer.max_steps=60", "--run_dir", tmp_path / "whole")[0] == 0
    half = ["fit", *options, "--trainer.devices=2", "--trainer.max_steps=30", "--run_dir"]
    torchrun(2, [[*half, tmp_path / "one"], [*half, tmp_path / "three"]])
    rest = ["fit", *options, "--trainer.max_steps=60", "--ckpt_path=last", "--run_dir"]
    status, _, err = grok(*rest, tmp_path / "one")
    assert status == 0, err
    torchrun(3, [[*rest, tmp_path / "three", "--trainer.devices=3"]])
    for name in ("one", "three"):
        assert_same(tmp_path / "whole", tmp_path / name, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["first", "second"])
def test_killed_process_stops_the_others(grok_process, grok, tmp_path, victim):
    options = ["--config", ROOT / "configs/toy_addition.yaml", *QUIET, "--trainer.callbacks.every_n_steps=50"]
    endless = [*options, "--trainer.max_steps=1000000", "--model.architecture.width=8", "--run_dir", tmp_path / "run"]
    process = grok_process("fit", *endless, "--trainer.devices=2")
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    (child,) = filter(is_python, children(process.pid))
    os.kill(process.pid if victim == "first" else child, signal.SIGKILL)
    _, err = process.communicate(timeout=60)  # ends when the pipe is closed by both
    assert process.returncode != 0
    assert not is_python(child)
    (line,) = {line for line in err.splitlines() if line.startswith("grok: error: ")}
    assert "another process of this run ended" in line
    assert "Traceback" not in err
    step = torch.load(checkpoint)["global_step"]
    status, _, err = grok("fit", *endless, f"--trainer.max_steps={step + 10}", "--ckpt_path=last")
    assert status == 0, err
    assert outcome(tmp_path / "run")[0]["steps"] == step + 10


def is_python(pid: int) -> bool:
    try:
        return b"grokking_pl" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """A job of SLURM with one task, as Lightning sees it, and a ``scontrol`` that notes what it is asked."""
    asked = tmp_path / "asked"
    program = tmp_path / "bin/scontrol"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    program.chmod(0o755)
    for name, value in {
        "SLURM_JOB_ID": "4321", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NNODES": "1",
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return asked


class SignalAtStep(pl.Callback, Reporting):
    """What SLURM does before a job's time ends."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 13:
            os.kill(os.getpid(), signal.SIGUSR1)


def test_slurm_job_is_queued_again_and_goes_on(grok, small_mnist, slurm, tmp_path, monkeypatch):
    options = ["fit", *small_mnist, "--run_dir", tmp_path / "run"]
    status, _, err = grok(*options, "--trainer.callbacks+=tests.test_many_processes.SignalAtStep")
    assert status == 128 + signal.SIGUSR1
    assert "SLURM job 4321 is queued again" in err
    assert slurm.read_text() == "requeue 4321\n"
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 14
    assert "holds an unfinished run" in grok(*options)[2]

    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    status, _, err = grok(*options)
    assert status == 0, err
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    assert grok("fit", *small_mnist, "--run_dir", tmp_path / "whole")[0] == 0
    assert_same(tmp_path / "whole", tmp_path / "run", 0)
    assert (tmp_path / "run/metrics.csv").read_bytes() == (tmp_path / "whole/metrics.csv").read_bytes()


def test_auto_starts_a_run_and_goes_on_with_it(grok, small_mnist, tmp_path):
    options = ["fit", *small_mnist, "--ckpt_path=auto", "--run_dir", tmp_path / "run", *QUIET]
    options += ["--trainer.callbacks.every_n_steps=10", "--trainer.callbacks+=tests.test_many_processes.RaisesOnce"]
    with pytest.raises(RuntimeError, match="on purpose") as raised:
        grok(*options)
    # The traceback names the callback; the summary and the checkpoint survive.
    frames = traceback.extract_tb(raised.tb)
    assert any(frame.filename == __file__ and "on purpose" in (frame.line or "") for frame in frames)
    assert json.loads((tmp_path / "run/summary.json").read_text())["status"] == "failed"
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 20
    status, _, err = grok(*options)
    assert status == 0, err
    assert outcome(tmp_path / "run")[0]["steps"] == 30
    status, _, err = grok(*options)
    assert status == 2
    assert "holds a finished run" in err


class RaisesOnce(pl.Callback):
    raised = False

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 25 and not RaisesOnce.raised:
            RaisesOnce.raised = True
            raise RuntimeError("on purpose")


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--trainer.strategy=fsdp", "use ddp"),
        ("--trainer.strategy=lightning.pytorch.strategies.FSDPStrategy", "use ddp"),
        ("--trainer.strategy=deepspeed_stage_2", "use ddp"),
        ("--trainer.devices=0", "devices"),
        pytest.param(
            "--trainer.accelerator=gpu", "gpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)  # fmt: skip
def test_devices_that_are_not_there(grok, small_mnist, tmp_path, option, wanted):
    status, _, err = grok("fit", *small_mnist, "--run_dir", tmp_path / "run", option)
    assert status == 2
    lines = [line for line in err.splitlines() if line.startswith("grok: error: ")]
    assert len(lines) == 1
    assert wanted in lines[0].lower()


def test_more_gpus_than_there_are(grok, small_mnist, tmp_path):
    most = torch.cuda.device_count()
    status, _, err = grok(
        "fit", *small_mnist, "--run_dir", tmp_path / "run", "--trainer.accelerator=gpu", f"--trainer.devices={most + 1}"
    )
    assert status == 2
    assert "gpu" in err.splitlines()[-1].lower()
