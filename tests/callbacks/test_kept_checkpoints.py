"""Checkpoints that are kept beside the last one: which, whole, and of one training only."""

import pytest
import torch

from grokking_pl.callbacks import RunCheckpoint
from grokking_pl.errors import UserError

TOY = [
    "fit", "--config", "configs/toy_addition.yaml", "--trainer.enable_progress_bar=false", "--trainer.callbacks=null",
    "--trainer.callbacks=RunCheckpoint", "--trainer.callbacks.every_n_steps=5",
]  # fmt: skip


def fit(grok, folder, *words):
    status, _, err = grok(*TOY, "--run_dir", folder, *words)
    assert status == 0, err
    return {int(path.stem.removeprefix("step_")): path for path in (folder / "checkpoints").glob("step_*.ckpt")}


KEPT = {"all": [0, 5, 10], "log": [0, 1, 2, 3, 4, 5, 6, 8, 10], "4": [0, 4, 8, 12], "last": []}


@pytest.mark.parametrize("keep", KEPT)
def test_which(grok, tmp_path, keep):
    kept = fit(grok, tmp_path, f"--trainer.callbacks.keep={keep}", "--trainer.max_steps=12")
    assert sorted(kept) == KEPT[keep]
    for step, path in kept.items():
        assert torch.load(path, weights_only=True)["global_step"] == step
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 12


def test_going_on_from_a_kept_one(grok, tmp_path):
    """Later ones are removed, and made anew with the same weights."""
    words = ["--trainer.callbacks.keep=3", "--trainer.max_steps=9"]
    kept = fit(grok, tmp_path / "run", *words)
    weights = torch.load(kept[9], weights_only=True)["state_dict"]
    (tmp_path / "run/summary.json").unlink()
    torch.save({"of": "another training"}, tmp_path / "run/checkpoints/step_00000007.ckpt")
    for first in (3, 0):
        again = fit(grok, tmp_path / "run", *words, "--ckpt_path", kept[first])
        assert sorted(again) == [0, 3, 6, 9]
        resumed = torch.load(again[9], weights_only=True)["state_dict"]
        assert all(torch.equal(resumed[name], value) for name, value in weights.items())
        (tmp_path / "run/summary.json").unlink()


def test_a_new_run_removes_those_of_one_that_had_no_last_checkpoint(grok, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    torch.save({}, tmp_path / "checkpoints/step_00000777.ckpt")
    assert fit(grok, tmp_path, "--trainer.max_steps=1") == {}


@pytest.mark.parametrize("keep", [0, -1, True, "every"])
def test_mistakes(keep):
    with pytest.raises(UserError, match=r"keep is .*; it must be last, all, log, or a number of steps"):
        RunCheckpoint(keep=keep)
