"""Every experiment on several processes; going on with another number of them; a process that is killed; SLURM."""

import json
import os
import re
import signal
import time
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch

from grokking_pl.callbacks import Reporting
from grokking_pl.training.lost_process import MESSAGE
from tests.children import children
from tests.conftest import ROOT, SMALL_MNIST
from tests.many_runs import torchrun

EXPERIMENTS = sorted(
    path for path in (ROOT / "configs").glob("*.yaml")
    if not path.name.startswith("theory_") and "dropout" not in path.name
)  # fmt: skip
DOUBLE = ["--trainer.precision=64-true"]
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.callbacks+=RunCheckpoint"]


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


@pytest.fixture
def endless(grok_process, tmp_path):
    """Start a run without an end on two processes or more, and wait for its first checkpoint.

    Returns the options that started it, and its processes.
    """

    def start(*options):
        words = [
            "--config", ROOT / "configs/toy_addition.yaml", *QUIET, "--trainer.callbacks.every_n_steps=50",
            "--trainer.max_steps=1000000", "--model.architecture.width=8", "--run_dir", tmp_path / "run", *options,
        ]  # fmt: skip
        first = grok_process("fit", *words)
        while not (tmp_path / "run/checkpoints/last.ckpt").exists():
            assert first.poll() is None, first.communicate()[1]
            time.sleep(0.05)
        return words, first, [pid for pid in children(first.pid) if is_python(pid)]

    return start


def line_of(err: str) -> str:
    """The one line of an error, which only the greeting is before."""
    greeting, line = err.splitlines()
    assert greeting.startswith("run folder ")
    assert line.startswith("grok: error: ")
    return line


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("victim", ["first", "second"])
def test_killed_process_stops_the_others(endless, grok, tmp_path, victim, processes):
    words, first, others = endless(f"--trainer.devices={processes}")
    assert len(others) == processes - 1
    os.kill(first.pid if victim == "first" else others[0], signal.SIGKILL)
    _, err = first.communicate(timeout=60)  # ends when the pipe is closed by all
    assert first.returncode != 0
    assert not any(map(is_python, others))
    if processes == 2 or victim == "second":
        assert "another process of this run exited" in line_of(err)
    else:
        # The others cannot know of each other who speaks.
        assert {line_of(f"run folder \n{line}") for line in err.splitlines()[1:]} == {f"grok: error: {MESSAGE}"}
    step = torch.load(tmp_path / "run/checkpoints/last.ckpt")["global_step"]
    rest = ("--trainer.devices=1", f"--trainer.max_steps={step + 10}", "--ckpt_path=last")
    status, _, err = grok("fit", *words, *rest)
    assert status == 0, err
    assert outcome(tmp_path / "run")[0]["steps"] == step + 10


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["first", "second"])
def test_a_process_that_does_not_answer_stops_the_others(endless, victim):
    timeout = "--trainer.strategy.init_args.timeout=0:00:20"
    strategy = "--trainer.strategy.class_path=lightning.pytorch.strategies.DDPStrategy"
    _, first, (second,) = endless("--trainer.devices=2", strategy, timeout)
    os.kill(first.pid if victim == "first" else second, signal.SIGSTOP)
    if victim == "first":
        end = time.monotonic() + 90
        while is_running(second) and time.monotonic() < end:
            time.sleep(0.1)
        assert not is_running(second)
        first.kill()
    _, err = first.communicate(timeout=90)
    assert not is_python(second)
    assert "did not answer in time" in line_of(err)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["first", "second"])
def test_a_diagram_says_in_one_line_that_a_process_died(grok_process, tmp_path, victim):
    folder = tmp_path / "diagram"
    first = grok_process(
        "diagram", "--config", ROOT / "configs/figures/figure6a_small.yaml", "--folder", folder, "--device=cpu",
        "--devices=2", "--workers=1", "--steps=1000000", "--places=2", "--checkpoint_seconds=0.5", "--compile=false",
    )  # fmt: skip
    while len(list(folder.glob("checkpoints/rank_*.pt"))) < 2:
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.05)
    (second,) = filter(is_python, children(first.pid))
    os.kill(first.pid if victim == "first" else second, signal.SIGKILL)
    _, err = first.communicate(timeout=90)
    assert not is_python(second)
    lines = [line for line in err.splitlines() if not line.startswith("diagram in ") and "runs" not in line[:20]]
    assert lines == [
        "grok: error: a process of the job died; finished runs are kept: run the same command again to resume"
    ]


def is_running(pid: int) -> bool:
    """Whether a process has not ended, though nobody may have asked for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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
    signalled = "--trainer.callbacks+=tests.test_many_processes.SignalAtStep"
    options = ["fit", *small_mnist, "--run_dir", tmp_path / "run", signalled]
    status, _, err = grok(*options)
    assert status == 128 + signal.SIGUSR1
    assert "SLURM job 4321 is requeued" in err
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
    status, _, err = grok(*options)
    log = tmp_path / "run/error.log"
    assert status == 1
    line = err.splitlines()[-1]
    assert re.fullmatch(rf"grok: error: RuntimeError in {__file__}, line \d+: on purpose \(.* in {log}\)", line)
    # The traceback names the callback; the summary and the checkpoint survive.
    assert f'File "{__file__}"' in log.read_text()
    assert json.loads((tmp_path / "run/summary.json").read_text())["status"] == "failed"
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 20
    status, _, err = grok(*options)
    assert status == 0, err
    assert outcome(tmp_path / "run")[0]["steps"] == 30
    status, _, err = grok(*options)
    assert status == 0, err
    assert "nothing is left to train" in err


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
