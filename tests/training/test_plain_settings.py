"""Checkpoints of a module that was made by hand hold plain values, make it again, and resume it to the bit."""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch

from grokking_pl.data import AlgorithmicDataModule
from grokking_pl.models import ToyModel
from grokking_pl.sizes import Sizes
from grokking_pl.tasks import addition
from grokking_pl.training import GrokkingModule, GroupOptions, Lion, Schedule


def narrow(sizes: Sizes) -> torch.nn.Module:
    return ToyModel(sizes, width=5)


def fit(module, steps, path, ckpt_path=None):
    trainer = pl.Trainer(
        max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", default_root_dir=path.parent,
    )  # fmt: skip
    data = AlgorithmicDataModule(addition(6), train_count=12)
    trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    trainer.save_checkpoint(path)
    return module


ARGUMENTS = {
    "a class": {"architecture": ToyModel},
    "a class with options": {"architecture": partial(ToyModel, width=8), "decoder": partial(torch.optim.SGD, lr=0.1)},
    "options": {"architecture": ToyModel, "embeddings": GroupOptions(lr=1e-2), "decoder": Lion, "init_seed": 4},
    "schedules": {
        "architecture": ToyModel,
        "schedule": Schedule(warmup_steps=3),
        "decoder_schedule": partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.9),
    },
    "a function": {"architecture": narrow},
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_by_hand(tmp_path, name):
    module = fit(GrokkingModule(**ARGUMENTS[name]), 4, tmp_path / "a.ckpt")
    torch.load(tmp_path / "a.ckpt", weights_only=True)
    loaded = GrokkingModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in module.state_dict().items())
    whole = fit(GrokkingModule(**ARGUMENTS[name]), 9, tmp_path / "whole.ckpt").state_dict()
    resumed = fit(loaded, 9, tmp_path / "b.ckpt", tmp_path / "a.ckpt").state_dict()
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    again = GrokkingModule.load_from_checkpoint(tmp_path / "b.ckpt").state_dict()  # of a module that was loaded itself
    assert all(torch.equal(value, again[key]) for key, value in whole.items())


def test_what_no_file_can_hold_is_asked_for(tmp_path):
    def inner(sizes):
        return ToyModel(sizes, width=4)

    with pytest.warns(UserWarning, match="cannot be pickled"):
        module = fit(GrokkingModule(inner, init_seed=3), 2, tmp_path / "a.ckpt")
    with pytest.raises(Exception, match="architecture"):
        GrokkingModule.load_from_checkpoint(tmp_path / "a.ckpt")
    loaded = GrokkingModule.load_from_checkpoint(tmp_path / "a.ckpt", architecture=inner)
    assert loaded.init_seed == 3
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in module.state_dict().items())
