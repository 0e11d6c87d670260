"""The transformer of figures 1 and 7, from its configuration, against the same training written with plain PyTorch."""

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Callback, Trainer
from torch import nn

from grokking_pl.experiments import ExperimentBuilder, set_value
from tests.conftest import ROOT

STEPS = 100


def experiment_of(**changes):
    """What configs/figures/figure1.yaml trains, without dropout, in which a loop of our own would draw otherwise."""
    config = yaml.safe_load((ROOT / "configs/figures/figure1.yaml").read_text())
    builder = ExperimentBuilder()
    settings = builder.complete({name: config[name] for name in ("model", "data")})
    for name in ("dropout", "attention_dropout", "mlp_dropout"):
        assert settings["model"]["init_args"]["architecture"]["init_args"][name] == 0.05
        set_value(settings, f"model.architecture.{name}", 0.0)
    for name, value in changes.items():
        set_value(settings, name, value)
    return builder.instantiate(settings, config["seed_everything"])


class Plain(nn.Module):
    def __init__(self, p, width, hidden):
        super().__init__()
        self.embeddings = nn.Embedding(p, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 1, hidden, 0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.linear = nn.Linear(2 * width, p)

    def forward(self, pairs):
        stream = self.embeddings(pairs)
        for layer in self.layers:
            stream = layer(stream)
        return self.linear(torch.cat([stream[:, 0], stream[:, 1]], 1))


def plain_split(p, seed):
    pairs = torch.tensor([(i, j) for i in range(p) for j in range(p)])
    np.random.seed(seed)
    chosen = np.random.choice(p**2, int(p**2 * 0.8), replace=False)
    train = sorted({*chosen.tolist(), 0, 1})
    val = [number for number in range(p**2) if number not in set(train)]
    return pairs[train], pairs[val]


def test_data_and_initial_weights_to_the_bit():
    experiment = experiment_of()
    experiment.build()
    train, val = plain_split(59, 1)
    assert torch.equal(experiment.data.train_set[0], train)
    assert torch.equal(experiment.data.val_set[0], val)
    assert torch.equal(experiment.data.targets, torch.cat([train, val]).sum(1) % 59)
    assert len(train) == 2784
    torch.manual_seed(1)
    network = Plain(59, 256, 128)
    for ours, theirs in zip(experiment.module.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


class Losses(Callback):
    def __init__(self):
        self.losses = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))


def test_losses_of_100_steps(tmp_path):
    p, width = 17, 32
    watch = Losses()
    experiment = experiment_of(**{"data.task.p": p, "model.architecture.width": width, "model.decoder.lr": 1e-3})
    Trainer(
        accelerator="cpu", max_steps=STEPS, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, callbacks=[watch], default_root_dir=tmp_path,
        limit_val_batches=0,
    ).fit(experiment.module, datamodule=experiment.data)  # fmt: skip

    train, _ = plain_split(p, 1)
    torch.manual_seed(1)
    network = Plain(p, width, width // 2)
    embeddings = list(network.embeddings.parameters())
    decoder = [*network.layers.parameters(), *network.linear.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": embeddings}, {"params": decoder, "weight_decay": 1.0}], lr=1e-3, betas=(0.9, 0.999)
    )
    losses = []
    for _ in range(STEPS):
        loss = nn.functional.cross_entropy(network(train), train.sum(1) % p)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert watch.losses == pytest.approx(losses, rel=1e-5)
