"""A run that is killed at any of its file operations goes on to the files of a run that was never killed."""

import random

import pytest

from tests.conftest import ROOT
from tests.killed import contents, fork_grok

RUN = [
    "fit", "--config", str(ROOT / "configs/toy_2d_addition.yaml"), "--trainer.max_steps=40",
    "--trainer.log_every_n_steps=10", "--trainer.logger=[]", "--trainer.enable_progress_bar=false",
    "--model.architecture.width=8", "--trainer.callbacks+=RunCheckpoint", "--trainer.callbacks.every_n_steps=15",
    "--trainer.callbacks+=EffectiveTheory", "--trainer.callbacks+=LotteryTicket",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The contents of a run that is not killed, and the number of its file operations."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    status, operations = fork_grok([*RUN, f"--run_dir={folder}"], folder)
    assert status == 0, (folder.parent / "log.txt").read_text()
    return contents(folder), operations


def check(whole, tmp_path, number):
    expected, _ = whole
    folder = tmp_path / "run"
    status, _ = fork_grok([*RUN, f"--run_dir={folder}"], folder, kill_at=number)
    assert status == -9
    status, _ = fork_grok([*RUN, f"--run_dir={folder}", "--ckpt_path=auto"], folder)
    assert status == 0, (tmp_path / "log.txt").read_text()
    after = contents(folder)
    assert after.keys() == expected.keys()
    for name, content in expected.items():
        assert after[name] == content, name


@pytest.mark.parametrize("share", range(6))
def test_killed_somewhere(whole, tmp_path, share):
    """One operation in each sixth of the run."""
    _, operations = whole
    bounds = [1 + operations * part // 6 for part in (share, share + 1)]
    check(whole, tmp_path, random.Random(share).randrange(*bounds))


@pytest.mark.slow
def test_killed_at_each_operation(whole, tmp_path):
    for number in range(1, whole[1] + 1):
        (tmp_path / str(number)).mkdir()
        check(whole, tmp_path / str(number), number)
