"""Watching a run changes nothing in it: the weights after any number of steps are the same to the bit."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from grokking_pl.runs import RunFolder
from tests.conftest import SMALL_MNIST


class DrawsRandomNumbers(pl.Callback):
    """A careless callback: it uses the global generator, as t-SNE or a random projection would."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        torch.rand(7)

    def on_validation_epoch_end(self, trainer, pl_module):
        torch.rand(3)


@pytest.fixture(scope="module")
def train(grok):
    """The weights after a run with some options."""

    def run(folder: Path, *options: str) -> dict[str, torch.Tensor]:
        architecture = ["--model.architecture=tests.test_observation.NoisyMLP", "--model.architecture.width=8"]
        status, _, err = grok("fit", *SMALL_MNIST, *architecture, *options, "--run_dir", folder)
        assert status == 0, err
        return torch.load(RunFolder(folder).checkpoint)["state_dict"]

    return run


@pytest.fixture(scope="module")
def plain_weights(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    "options",
    [
        ["--trainer.callbacks.every_n_steps=1"],
        ["--trainer.log_every_n_steps=1", "--trainer.logger=false"],
        ["--trainer.limit_val_batches=0"],
        ["--data.steps_per_epoch=7"],
        ["--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=3"],
        ["--trainer.callbacks+=RunCheckpoint", "--trainer.callbacks.every_n_steps=4"],
        ["--trainer.callbacks+=Sharpness", "--trainer.callbacks.every_n_steps=15", "--trainer.callbacks+=KernelChange"],
        ["--trainer.callbacks+=GradientDirection", "--trainer.callbacks+=InitialDistance"],
        ["--trainer.callbacks+=tests.test_observation.DrawsRandomNumbers"],
        ["--trainer.enable_progress_bar=true"],
        ["--trainer.num_sanity_val_steps=2"],
    ],
    ids=" ".join,
)
def test_same_weights(train, plain_weights, tmp_path, options):
    weights = train(tmp_path, *options)
    assert plain_weights.keys() == weights.keys()
    for name, weight in plain_weights.items():
        assert torch.equal(weight, weights[name]), name


class NoisyMLP(torch.nn.Module):
    """An architecture that draws random numbers at every training step."""

    def __init__(self, sizes, width: int = 8):
        super().__init__()
        self.encoder = torch.nn.Linear(sizes.inputs, width)
        self.dropout = torch.nn.Dropout(0.3)
        self.decoder = torch.nn.Linear(width, sizes.outputs)

    def embedding_parameters(self):
        return self.encoder.parameters()

    def forward(self, inputs):
        return self.decoder(self.dropout(self.encoder(inputs).relu()))
