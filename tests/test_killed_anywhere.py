"""A run that is killed at any of its file operations goes on to the files of a run that was never killed."""

import random

import pytest

from tests.conftest import ROOT
from tests.killed import contents, fork_grok

COMMON = ["fit", "--trainer.log_every_n_steps=10", "--trainer.logger=[]", "--trainer.enable_progress_bar=false"]
TOY = ["--config", str(ROOT / "configs/toy_2d_addition.yaml"), "--model.architecture.width=8"]
CHECKPOINTS = ["--trainer.callbacks+=RunCheckpoint", "--trainer.callbacks.every_n_steps=15"]
RUNS = {
    "all callbacks": [
        *COMMON, *TOY, "--trainer.max_steps=40", *CHECKPOINTS, "--trainer.callbacks.keep=20",
        "--trainer.callbacks+=EffectiveTheory", "--trainer.callbacks+=LotteryTicket",
    ],
    "phase decided": [
        *COMMON, *TOY, "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.budget=33",
        "--trainer.callbacks.every_n_steps=1", "--trainer.callbacks.stop_when_decided=true", *CHECKPOINTS,
        "--trainer.callbacks+=FourierSpectrum", "--trainer.callbacks.every_n_steps=10",
    ],
    "epochs": [
        *COMMON, *TOY, "--trainer.max_epochs=2", "--data.steps_per_epoch=20", *CHECKPOINTS,
        "--trainer.callbacks+=EmbeddingCircle",
    ],
    "another module": [
        *COMMON, "--model=tests.callbacks.test_measurement.Line", "--data=tests.callbacks.test_measurement.Points",
        "--data.batch_size=4", "--data.steps_per_epoch=7", "--trainer.max_steps=35", *CHECKPOINTS,
    ],
}  # fmt: skip
SAMPLED = {"all callbacks": 3, "phase decided": 2, "epochs": 1, "another module": 1}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The contents of a run that is not killed, and the number of its file operations, made once for each run."""
    made = {}

    def make(run):
        if run not in made:
            folder = tmp_path_factory.mktemp("whole") / "run"
            status, operations = fork_grok([*RUNS[run], f"--run_dir={folder}"], folder)
            assert status == 0, (folder.parent / "log.txt").read_text()
            made[run] = contents(folder), operations
        return made[run]

    return make


def check(expected, run, tmp_path, number):
    folder = tmp_path / "run"
    status, _ = fork_grok([*RUNS[run], f"--run_dir={folder}"], folder, kill_at=number)
    assert status == -9
    status, _ = fork_grok([*RUNS[run], f"--run_dir={folder}", "--ckpt_path=auto"], folder)
    assert status == 0, (tmp_path / "log.txt").read_text()
    after = contents(folder)
    assert after.keys() == expected.keys(), number
    for name, content in expected.items():
        assert after[name] == content, (number, name)


@pytest.mark.parametrize(("run", "share"), [(run, share) for run, parts in SAMPLED.items() for share in range(parts)])
def test_killed_somewhere(whole, tmp_path, run, share):
    """One operation in each part of the run."""
    expected, operations = whole(run)
    bounds = [1 + operations * part // SAMPLED[run] for part in (share, share + 1)]
    check(expected, run, tmp_path, random.Random(share).randrange(*bounds))


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_killed_at_each_operation(whole, tmp_path, run):
    expected, operations = whole(run)
    for number in range(1, operations + 1):
        (tmp_path / str(number)).mkdir()
        check(expected, run, tmp_path / str(number), number)
