"""What watches a circuit form, gradients, margins, kernels and sharpness, against values from checkpoints and loops."""

import itertools
import json
import random

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from grokking_pl.metrics import (
    decoder_rqi,
    excluded_loss,
    fourier_norms,
    gini,
    group_excluded_loss,
    group_pair_spectrum,
    group_restricted_loss,
    irrep_power,
    neuron_irreps,
    restricted_loss,
)
from grokking_pl.tasks import symmetric_group
from grokking_pl.training import GrokkingModule, pair_activations

SMALL = [
    "fit", "--config", "configs/nanda_modular_addition.yaml", "--data.task.p=7", "--data.classes=8",
    "--model.architecture.width=16", "--model.architecture.heads=2", "--trainer.log_every_n_steps=10",
    "--trainer.enable_progress_bar=false", "--trainer.max_steps=20",
]  # fmt: skip
WATCHED = [
    "FourierProgress", "GradientDirection", "InitialDistance", "LogitMargin", "KernelChange", "Sharpness",
    "LocalComplexity",
]  # fmt: skip


def watching(names, every=10):
    words = []
    for number, name in enumerate(names):
        words += [f"--trainer.callbacks{'+' * bool(number)}={name}", f"--trainer.callbacks.every_n_steps={every}"]
        if name == "FourierProgress":
            words.append("--trainer.callbacks.frequencies=[1,3]")
    return words


@pytest.fixture(scope="module")
def run(grok, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    status, _, err = grok(*SMALL, *watching(WATCHED), "--run_dir", folder)
    assert status == 0, err
    return folder


def test_values_of_the_last_step(run):
    module = GrokkingModule.load_from_checkpoint(run / "checkpoints/last.ckpt", weights_only=False)
    summary = json.loads((run / "summary.json").read_text())
    logits = pair_activations(module.eval())["outputs"]
    results = (torch.arange(7)[:, None] + torch.arange(7)) % 7
    assert summary["restricted_loss"] == pytest.approx(float(restricted_loss(logits, [1, 3])), rel=1e-4)
    assert summary["keys"] == [1, 3]
    assert summary["embedding_gini"] == pytest.approx(float(gini(fourier_norms(module.network.embeddings))), rel=1e-4)
    output_norms = fourier_norms(module.network.classifier.weight[:7])
    assert summary["output_gini"] == pytest.approx(float(gini(output_norms)), rel=1e-4)
    losses = F.cross_entropy(logits.flatten(0, 1), results.flatten(), reduction="none").view(7, 7)
    # The training pairs are those whose mean loss and excluded loss were measured.
    count = int(0.3 * 49)
    assert summary["zero_losses"] == float((losses == 0).float().mean()) == 0
    margins = logits.gather(2, results[..., None])[..., 0] - logits.scatter(2, results[..., None], -1e9).amax(2)
    whole = (count * summary["train_margin"] + (49 - count) * summary["val_margin"]) / 49
    assert whole == pytest.approx(float(margins.mean()), rel=1e-4)
    assert summary["least_train_margin"] in [pytest.approx(float(margin), rel=1e-4) for margin in margins.flatten()]
    assert 0 < summary["kernel_change"] < 1
    assert summary["sharpness"] > 0
    assert summary["train_complexity"] > 0


def test_excluded_loss_is_over_the_training_pairs(run):
    module = GrokkingModule.load_from_checkpoint(run / "checkpoints/last.ckpt", weights_only=False)
    pairs = [(a, b) for a in range(7) for b in range(7)]
    random.Random(0).shuffle(pairs)
    train = torch.zeros(7, 7, dtype=torch.bool)
    for a, b in pairs[: int(0.3 * 49)]:
        train[a, b] = True
    summary = json.loads((run / "summary.json").read_text())
    logits = pair_activations(module)["outputs"]
    assert summary["excluded_loss"] == pytest.approx(float(excluded_loss(logits, [1, 3], train)), rel=1e-4)


def test_rows_of_every_measurement(run):
    metrics = pd.read_csv(run / "metrics.csv").set_index("step")
    for column in ("restricted_loss", "neuron_share", "train_margin", "kernel_change", "sharpness", "val_complexity"):
        assert metrics[column].dropna().index.tolist() == [0, 10, 20]
    for column in ("gradient_norm", "gradient_cosine"):  # which the initial network has not
        assert metrics[column].dropna().index.tolist() == [10, 20]
    assert metrics.kernel_change[0] == pytest.approx(0, abs=1e-9)
    for group in ("embeddings", "decoder"):
        distance = metrics[f"distance_{group}"]
        assert distance[0] == 0
        assert distance[20] > distance[10] > 0


def test_interrupted_run_finds_the_same(grok, run, tmp_path):
    for stop in (7, 20):
        status, _, err = grok(
            *SMALL, *watching(WATCHED), "--run_dir", tmp_path / "parts", f"--trainer.max_steps={stop}",
            *(["--ckpt_path=last"] if stop == 20 else []),
        )  # fmt: skip
        assert status == 0, err
    whole, parts = (json.loads((folder / "summary.json").read_text()) for folder in (run, tmp_path / "parts"))
    assert {**whole, "seconds": 0} == {**parts, "seconds": 0}


def test_gradients_against_a_plain_loop(grok, tmp_path):
    status, _, err = grok(
        "fit", "--config", "configs/toy_addition.yaml", *watching(["GradientDirection"], 1),
        "--trainer.enable_progress_bar=false", "--trainer.max_steps=2", "--trainer.log_every_n_steps=1",
        "--model.embeddings=torch.optim.SGD", "--model.embeddings.lr=0.01",
        "--model.decoder=torch.optim.SGD", "--model.decoder.lr=0.01", "--run_dir", tmp_path,
        "--trainer.callbacks+=RunCheckpoint", "--trainer.callbacks.every_n_steps=1", "--trainer.callbacks.keep=all",
    )  # fmt: skip
    assert status == 0, err
    steps = [
        torch.load(tmp_path / f"checkpoints/step_{step:08d}.ckpt", weights_only=True)["state_dict"] for step in range(3)
    ]
    weights = [
        torch.cat([value.double().flatten() for name, value in state.items() if name.startswith("network")])
        for state in steps
    ]
    first, second = ((before - after) / 0.01 for before, after in itertools.pairwise(weights))
    metrics = pd.read_csv(tmp_path / "metrics.csv").set_index("step")
    assert metrics.gradient_norm[1] == pytest.approx(float(first.norm()), rel=1e-3)
    assert metrics.gradient_norm[2] == pytest.approx(float(second.norm()), rel=1e-3)
    assert metrics.gradient_cosine[2] == pytest.approx(float(F.cosine_similarity(first, second, dim=0)), abs=1e-3)


def test_group(grok, tmp_path):
    status, _, err = grok(
        "fit", "--config", "configs/permutation_s3.yaml", *watching(["IrrepSpectrum"]), "--trainer.max_steps=10",
        "--trainer.enable_progress_bar=false", "--run_dir", tmp_path,
    )  # fmt: skip
    assert status == 0, err
    summary = json.loads((tmp_path / "summary.json").read_text())
    weights = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    power = irrep_power(weights["network.embeddings"], symmetric_group(3))
    assert [summary[f"irrep_power_{k}"] for k in (1, 2)] == pytest.approx(power[1:].tolist(), rel=1e-4)
    assert summary["irrep_dimensions"] == [1, 1, 2]


GROUP = [
    *(word for word in SMALL if not word.startswith("--data")), "--data.task=grokking_pl.tasks.symmetric_group",
    "--data.task.n=3", "--data.classes=7", "--data.train_fraction=0.6",
    "--trainer.callbacks=IrrepProgress", "--trainer.callbacks.every_n_steps=10",
]  # fmt: skip


def test_circuit_of_a_group(grok, tmp_path):
    status, _, err = grok(*GROUP, "--trainer.callbacks.irreps=[2]", "--run_dir", tmp_path)
    assert status == 0, err
    summary = json.loads((tmp_path / "summary.json").read_text())
    module = GrokkingModule.load_from_checkpoint(tmp_path / "checkpoints/last.ckpt", weights_only=False)
    table, found = symmetric_group(3), pair_activations(module)
    pairs = [(a, b) for a in range(6) for b in range(6)]
    random.Random(0).shuffle(pairs)
    train = torch.zeros(6, 6, dtype=torch.bool)
    for a, b in pairs[: int(0.6 * 36)]:
        train[a, b] = True
    logits = found["outputs"]
    assert summary["restricted_loss"] == pytest.approx(float(group_restricted_loss(logits, table, [2])), rel=1e-4)
    assert summary["excluded_loss"] == pytest.approx(float(group_excluded_loss(logits, table, [2], train)), rel=1e-4)
    spectrum = group_pair_spectrum(logits, table).sum(2)
    assert summary["logit_key_power"] == pytest.approx(
        float(spectrum[2, 2] / (spectrum.sum() - spectrum[0, 0])), rel=1e-4
    )
    neurons = neuron_irreps(found["blocks.0.activation"][:, :, 0], table)
    assert summary["neuron_share"] == pytest.approx(float(neurons.share.mean()), rel=1e-4)
    assert summary["keys"] == [2]
    assert summary["irrep_dimensions"] == [1, 1, 2]
    with np.load(tmp_path / "circuit.npz") as file:
        assert file["dimensions"].tolist() == [1, 1, 2]
        assert file["spectra"][-1].tolist() == pytest.approx(
            irrep_power(module.network.embeddings, table)[1:].tolist(), rel=1e-4
        )
        right = logits.gather(2, torch.empty(6, 6, dtype=torch.long).index_put((table.a, table.b), table.c)[..., None])
        np.testing.assert_allclose(file["logits"], right[..., 0].detach().numpy(), rtol=1e-4)
    status, _, err = grok("report", tmp_path)
    assert status == 0, err
    page = (tmp_path / "report.html").read_text()
    for words in ("The circuit of the group&#x27;s operation", "2 (d = 2)", "representation of a"):
        assert words in page


def test_key_representations_are_found(grok, tmp_path):
    """Those of the embeddings: of a sign in every dimension, the sign."""
    start = tmp_path / "start"
    status, _, err = grok(*GROUP, "--trainer.max_steps=1", "--run_dir", start)
    assert status == 0, err
    checkpoint = torch.load(start / "checkpoints/last.ckpt", weights_only=True)
    table = symmetric_group(3)
    sign = torch.tensor([1.0, -1, -1, 1, 1, -1])
    checkpoint["state_dict"]["network.tokens.weight"][: table.p] = sign[:, None]
    torch.save(checkpoint, start / "checkpoints/step_00000001.ckpt")
    status, _, err = grok("measure", start, "--measures=IrrepProgress")
    assert status == 0, err
    assert pd.read_csv(start / "measures.csv").num_keys.tolist() == [1]


def test_decoder(grok, tmp_path):
    status, _, err = grok(
        "fit", "--config", "configs/permutation_s3.yaml", *watching(["DecoderQuality"]), "--trainer.max_steps=10",
        "--trainer.enable_progress_bar=false", "--run_dir", tmp_path,
    )  # fmt: skip
    assert status == 0, err
    module = GrokkingModule.load_from_checkpoint(tmp_path / "checkpoints/last.ckpt", weights_only=False)
    expected = decoder_rqi(module.representation, symmetric_group(3), module.network.decoder, 0.1)
    assert json.loads((tmp_path / "summary.json").read_text())["decoder_rqi"] == float(expected)


MISTAKES = {
    "DecoderQuality needs a decoder of combined embeddings, and Transformer": ("", "DecoderQuality"),
    "FourierProgress needs addition modulo p": ("toy_addition", "FourierProgress"),
    "frequencies are [4]; give distinct ones from 1 to 3": ("", "FourierProgress --trainer.callbacks.frequencies=[4]"),
    "FourierProgress: factor is 1.0": ("", "FourierProgress --trainer.callbacks.factor=1"),
    "IrrepSpectrum: a + b is not a group operation": ("toy_addition", "IrrepSpectrum"),
    "IrrepProgress: a + b is not a group operation": ("toy_addition", "IrrepProgress"),
    "IrrepProgress: irreps are [0]; give different": ("", "IrrepProgress --trainer.callbacks.irreps=[0]"),
    "IrrepProgress: factor is 1.0": ("", "IrrepProgress --trainer.callbacks.factor=1"),
    "IrrepProgress needs the operation table of algorithmic data": ("mnist_grok", "IrrepProgress"),
    "FourierProgress needs addition modulo p, such as modular_addition, not MNIST": (
        "mnist_grok", "FourierProgress",
    ),
    "DecoderQuality: MLP has no embeddings": ("mnist_grok", "DecoderQuality"),
    "InitialDistance: every_n_steps is 0": ("", "InitialDistance --trainer.callbacks.every_n_steps=0"),
    "LogitMargin needs one class number per sample": ("toy_addition", "LogitMargin"),
    "KernelChange: samples is 0": ("", "KernelChange --trainer.callbacks.samples=0"),
    "Sharpness: iterations is 0": ("", "Sharpness --trainer.callbacks.iterations=0"),
    "LocalComplexity: samples is 0": ("", "LocalComplexity --trainer.callbacks.samples=0"),
    "LocalComplexity: local_complexity: radius is -1.0": ("", "LocalComplexity --trainer.callbacks.radius=-1"),
    "KernelChange needs one output vector per sample": ("power_addition", "KernelChange"),
    "FourierProgress: Transformer reads equations": ("power_addition", "FourierProgress"),
}  # fmt: skip


@pytest.mark.parametrize("message", MISTAKES)
def test_what_cannot_be_measured(grok, tmp_path, message):
    config, callback = MISTAKES[message]
    words = SMALL if not config else ["fit", "--config", f"configs/{config}.yaml", "--trainer.max_steps=1"]
    status, _, err = grok(*words, *f"--trainer.callbacks={callback}".split(), "--run_dir", tmp_path)
    assert status == 2
    assert message in err, err
    assert len(err.strip().splitlines()) <= 3


def test_kernel_changes_less_with_a_larger_output_scale(grok, small_mnist, tmp_path):
    """Lazy training: at the rate over the squared scale, the outputs move alike and the weights the less."""
    changes = []
    for scale in (0.3, 3):
        status, _, err = grok(
            "fit", *small_mnist, "--data.batch_size=45", "--model.architecture.alpha=1",
            f"--model.output_scale={scale}", "--model.architecture.width=64", "--trainer.max_steps=100",
            "--model.embeddings=torch.optim.SGD", f"--model.embeddings.lr={0.5 / scale**2}",
            "--model.decoder=torch.optim.SGD", f"--model.decoder.lr={0.5 / scale**2}",
            "--trainer.callbacks=KernelChange", "--run_dir", tmp_path / str(scale),
        )  # fmt: skip
        assert status == 0, err
        changes.append(json.loads((tmp_path / str(scale) / "summary.json").read_text())["kernel_change"])
    rich, lazy = changes
    assert rich > 5 * lazy > 0
