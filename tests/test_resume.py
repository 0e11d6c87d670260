"""A run that was stopped in any way goes on to the same weights, metrics and phase as one that was not."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch

from grokking_pl.runs import RunFolder
from tests.conftest import SMALL_MNIST
from tests.sampling import sampled

STEPS = 1600
OPTIONS = [
    f"--trainer.max_steps={STEPS}",
    "--trainer.log_every_n_steps=50",
    "--trainer.callbacks.every_n_steps=50",
    "--trainer.callbacks+=RunCheckpoint",
    "--trainer.callbacks.every_n_steps=150",
]


def fit(grok, options: list[str], run_dir: Path, *more: object) -> RunFolder:
    status, _, err = grok("fit", *options, *OPTIONS, "--run_dir", run_dir, *more)
    assert status == 0, err
    return RunFolder(run_dir)


@pytest.fixture(scope="module")
def whole(grok, tmp_path_factory):
    """The folder of the run that is not interrupted."""
    return fit(grok, SMALL_MNIST, tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize("how", sampled([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], 3))
def test_stopped_run_resumes_to_the_same_end(grok, grok_process, small_mnist, tmp_path, whole, how):
    folder = RunFolder(tmp_path / "run")
    process = grok_process("fit", *small_mnist, *OPTIONS, "--run_dir", folder.path)
    while not folder.checkpoint.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how is signal.SIGKILL:
        assert process.returncode == -how
    else:
        assert process.returncode == 128 + how, err
        assert f"stopped by {how.name} at step" in err
        assert "--ckpt_path last" in err
        assert json.loads(folder.summary.read_text())["status"] == "interrupted"
    assert torch.load(folder.checkpoint)["global_step"] < STEPS

    fit(grok, small_mnist, folder.path, "--ckpt_path=last")

    ours, theirs = torch.load(folder.checkpoint), torch.load(whole.checkpoint)
    assert ours["global_step"] == theirs["global_step"] == STEPS
    for name, weight in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], weight), name
    assert folder.metrics.read_bytes() == whole.metrics.read_bytes()
    ours, theirs = (json.loads(run.summary.read_text()) for run in (folder, whole))
    assert ours.pop("seconds") > 0
    assert theirs.pop("seconds") > 0
    assert ours == theirs


def test_finished_run_can_be_extended(grok, small_mnist, tmp_path):
    folder = fit(grok, small_mnist, tmp_path / "run", "--trainer.max_steps=200")
    fit(grok, small_mnist, folder.path, "--trainer.max_steps=400", "--ckpt_path=last")
    whole = fit(grok, small_mnist, tmp_path / "whole", "--trainer.max_steps=400")
    ours, theirs = (torch.load(run.checkpoint)["state_dict"] for run in (folder, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_checkpoint_holds_no_pickled_code(grok, small_mnist, tmp_path):
    folder = fit(grok, small_mnist, tmp_path / "run", "--trainer.max_steps=10")
    checkpoint = torch.load(folder.checkpoint, weights_only=True)
    assert checkpoint["hyper_parameters"]
