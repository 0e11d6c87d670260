"""Sixteen-bit precision, compilation, accumulated and clipped gradients: each trains, close to the plain run."""

import json

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
from torch import nn

from grokking_pl.runs import RunFolder

TINY = [
    "--config", "configs/transformer_modular_addition_small.yaml",
    "--data.task.p=7", "--data.train_fraction=0.7", "--model.architecture.width=16",
    "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=10", "--trainer.max_steps=40",
    "--trainer.log_every_n_steps=1", "--trainer.enable_progress_bar=false",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("numerics")


@pytest.fixture
def train(grok, folder):
    """Losses by step, weights and summary of a run; the plain one is trained once."""

    def run(name, *options):
        if not (folder / name).exists():
            status, _, err = grok("fit", *TINY, *options, "--run_dir", folder / name)
            assert status == 0, err
            (folder / name / "stderr.txt").write_text(err)
        losses = pd.read_csv(folder / name / "metrics.csv").set_index("step").loss.dropna()
        weights = torch.load(RunFolder(folder / name).checkpoint, weights_only=True)["state_dict"]
        return losses, weights, json.loads((folder / name / "summary.json").read_text())

    return run


def furthest(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_sixteen_bits(train, precision):
    losses, weights, summary = train(precision, f"--trainer.precision={precision}")
    plain, exact, _ = train("plain")
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    assert losses.to_numpy() == pytest.approx(plain.to_numpy(), rel=0.1)
    assert not losses.equals(plain)
    assert furthest(weights, exact) < 0.06  # 40 updates of at most 1e-3, two ways
    assert summary["steps"] == 40


def compiled_by(monkeypatch, backend):
    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: original(self, backend=backend))
    torch._dynamo.reset()


def test_compiled(train, monkeypatch):
    """Traced and run as a graph, without the minute that generating code takes."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled_by(monkeypatch, backend)
    losses, weights, _ = train("compiled", "--model.compile=true")
    plain, exact, _ = train("plain")
    assert graphs
    assert losses.to_numpy() == pytest.approx(plain.to_numpy(), rel=1e-4)
    assert weights.keys() == exact.keys()
    assert furthest(weights, exact) < 1e-3


def test_no_compiler(train, monkeypatch, folder):
    def backend(graph, inputs):
        raise RuntimeError("no compiler here")

    compiled_by(monkeypatch, backend)
    losses, weights, _ = train("no_compiler", "--model.compile=true")
    plain, exact, _ = train("plain")
    assert losses.equals(plain)
    assert furthest(weights, exact) == 0
    assert (folder / "no_compiler/stderr.txt").read_text().count("training without torch.compile") == 1


@pytest.mark.slow
def test_compiled_to_code(train):
    torch._dynamo.reset()
    losses, weights, _ = train("inductor", "--model.compile=true")
    plain, exact, _ = train("plain")
    assert losses.to_numpy() == pytest.approx(plain.to_numpy(), rel=1e-3)
    assert furthest(weights, exact) < 1e-2


def test_accumulated_gradients(train, folder):
    """34 training pairs in two batches of 17, one pass an update, are the whole set."""
    losses, weights, summary = train(
        "accumulated", "--data.batch_size=17", "--trainer.accumulate_grad_batches=2", "--data.steps_per_epoch=20"
    )
    plain, exact, _ = train("plain")
    assert summary["steps"] == 40
    assert losses.index.tolist() == list(range(1, 41))
    # The loss of the second half before an update is near that of the whole.
    assert losses.to_numpy() == pytest.approx(plain.to_numpy(), rel=0.3)
    assert furthest(weights, exact) < 2e-3
    evaluations = pd.read_csv(folder / "accumulated/metrics.csv").set_index("step").train_accuracy.dropna()
    assert evaluations.index.tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipped_gradients(train, algorithm):
    name = f"clipped_{algorithm}"
    limit = {"norm": 0.05, "value": 0.002}[algorithm]
    losses, weights, _ = train(
        name, f"--trainer.gradient_clip_val={limit}", f"--trainer.gradient_clip_algorithm={algorithm}",
        "--trainer.callbacks+=tests.training.test_numerics.LargestGradient",
    )  # fmt: skip
    assert LargestGradient.of[algorithm] <= limit * 1.0001
    assert LargestGradient.of[algorithm] > limit * 0.9
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    plain, exact, _ = train("plain")
    # Adam's updates do not depend on the gradients' size, so that the path stays close.
    assert furthest(weights, exact) < 0.06
    assert losses.iloc[-1] == pytest.approx(plain.iloc[-1], rel=0.5)


def test_dropout_differs_between_accumulated_batches(grok, tmp_path):
    status, _, err = grok(
        "fit", *TINY, "--model.architecture.dropout=0.5", "--trainer.accumulate_grad_batches=2",
        "--trainer.max_steps=3", "--trainer.callbacks+=tests.training.test_numerics.KeepDraws", "--run_dir", tmp_path,
    )  # fmt: skip
    assert status == 0, err
    assert len(KeepDraws.draws) == 6
    assert len(set(KeepDraws.draws)) == 6


class LargestGradient(pl.Callback):
    """The largest gradient of any update: its norm, and its entries' largest value."""

    of: dict[str, float] = {}  # noqa: RUF012

    def on_train_start(self, trainer, pl_module):
        self.of.update(norm=0.0, value=0.0)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        gradients = torch.cat([p.grad.flatten() for p in pl_module.parameters() if p.grad is not None])
        self.of["norm"] = max(self.of["norm"], float(gradients.norm()))
        self.of["value"] = max(self.of["value"], float(gradients.abs().max()))


class KeepDraws(pl.Callback):
    """The first random number of each batch."""

    draws: list[float] = []  # noqa: RUF012

    def on_before_backward(self, trainer, pl_module, loss):
        state = torch.get_rng_state()
        self.draws.append(float(torch.rand(())))
        torch.set_rng_state(state)
