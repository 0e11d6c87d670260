"""What watches a transformer's embeddings, on pairs and on equations, against values worked out from checkpoints."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from grokking_pl.metrics import effective_dimension, fourier_power
from grokking_pl.plots.lottery_ticket import initial_excess
from grokking_pl.plots.principal_axes import principal_axes

WATCHED = [
    "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=10",
    "--trainer.callbacks+=EffectiveDimension", "--trainer.callbacks.every_n_steps=10",
    "--trainer.callbacks+=FourierSpectrum", "--trainer.callbacks.every_n_steps=10",
    "--trainer.callbacks.factor=1.1", "--trainer.callbacks+=WeightNorms", "--trainer.callbacks.every_n_steps=10",
    "--trainer.callbacks+=RepresentationQuality", "--trainer.callbacks.every_n_steps=10",
    "--trainer.callbacks+=EmbeddingSnapshots", "--trainer.callbacks.steps=[0,30]",
    "--trainer.callbacks+=EmbeddingCircle", "--trainer.callbacks+=LotteryTicket",
    "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=10",
]  # fmt: skip
SETTINGS = {
    "pairs": ["--config", "configs/transformer_modular_addition_small.yaml", "--data.task.p=7"],
    "equations": ["--config", "configs/papers/power_addition.yaml", "--data.modulus=7"],
}
FIRST_NUMBER = {"pairs": 0, "equations": 22}


@pytest.mark.parametrize("kind", SETTINGS)
def test_values(grok, tmp_path, kind):
    status, _, err = grok(
        "fit", *SETTINGS[kind], *WATCHED, "--model.architecture.width=16", "--trainer.max_steps=30",
        "--run_dir", tmp_path,
    )  # fmt: skip
    assert status == 0, err
    weights = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    summary = json.loads((tmp_path / "summary.json").read_text())
    first = FIRST_NUMBER[kind]
    final = weights["network.tokens.weight"][first : first + 7]
    with np.load(tmp_path / "embeddings.npz") as file:
        snapshots = torch.from_numpy(file["embeddings"])
        assert file["symbols"].tolist() == [str(k) for k in range(7)]
    assert torch.equal(snapshots[-1], final)
    assert summary["effective_dimension"] == pytest.approx(float(effective_dimension(final)), abs=1e-5)
    power = fourier_power(final)
    keys = [k + 1 for k in range(3) if power[k] > 1.1 / 3]
    assert summary["key_frequencies"] == keys
    assert summary["key_power"] == pytest.approx(sum(float(power[k - 1]) for k in keys), abs=1e-6)
    assert summary["initial_excess"] == pytest.approx(initial_excess(snapshots[0].numpy(), final.numpy()), rel=1e-4)
    embeddings = [name for name in weights if name.startswith(("network.tokens", "network.positions"))]
    for group, names in (
        ("embeddings", embeddings),
        ("decoder", [n for n in weights if n.startswith("network") and n not in embeddings]),
    ):
        norm = sum(float(weights[name].double().square().sum()) for name in names) ** 0.5
        assert summary[f"weight_norm_{group}"] == pytest.approx(norm, rel=1e-5)
    metrics = pd.read_csv(tmp_path / "metrics.csv").set_index("step")
    for column in ("weight_norm_decoder", "effective_dimension", "key_power", "rqi"):
        assert metrics[column].dropna().index.tolist() == [0, 10, 20, 30]
    for figure in ("circle", "spectrum", "lottery_ticket", "embeddings"):
        assert (tmp_path / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_interrupted_run_finds_the_same(grok, tmp_path):
    summaries = []
    for name, stops in (("whole", (20,)), ("parts", (7, 20))):
        for stop in stops:
            status, _, err = grok(
                "fit", *SETTINGS["pairs"], "--trainer.callbacks=FourierSpectrum", "--trainer.callbacks+=LotteryTicket",
                "--trainer.callbacks+=WeightNorms", "--trainer.enable_progress_bar=false", "--run_dir", tmp_path / name,
                f"--trainer.max_steps={stop}", *(["--ckpt_path=last"] if stop != stops[0] else []),
            )  # fmt: skip
            assert status == 0, err
        summaries.append(json.loads((tmp_path / name / "summary.json").read_text()))
    whole, parts = summaries
    for name in ("initial_excess", "key_frequencies", "key_power", "weight_norm_decoder", "weight_norm_embeddings"):
        assert whole[name] == parts[name]


def test_final_structure_hidden_in_the_beginning():
    """A circle that is there from the start and only grows is found in the initial embeddings; a new one is not."""
    draws = np.random.default_rng(0)
    angles = 2 * np.pi * 3 * np.arange(53) / 53
    plane = np.linalg.qr(draws.normal(size=(64, 2)))[0].T
    circle = np.stack([np.cos(angles), np.sin(angles)], 1) @ plane
    noise = draws.normal(size=(53, 64)) * 0.2
    assert initial_excess(noise, noise + 5 * circle) < 2
    assert initial_excess(noise + circle, noise + 5 * circle) > 5
    axes = principal_axes(noise + 5 * circle)
    assert np.allclose(axes @ axes.T, np.eye(2), atol=1e-6)
    assert np.linalg.svd(axes @ plane.T)[1].min() > 0.98


@pytest.mark.parametrize("callback", ["FourierSpectrum", "EmbeddingCircle", "LotteryTicket"])
def test_network_without_embeddings(grok, small_mnist, tmp_path, callback):
    status, _, err = grok("fit", *small_mnist, "--run_dir", tmp_path, f"--trainer.callbacks+={callback}")
    assert status == 2
    assert f"grok: error: {callback}: MLP has no embeddings" in err


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--trainer.callbacks=FourierSpectrum --trainer.callbacks.every_n_steps=0", "every_n_steps is 0"),
        ("--trainer.callbacks=FourierSpectrum --trainer.callbacks.factor=1", "factor is 1"),
        ("--trainer.callbacks=WeightNorms --trainer.callbacks.every_n_steps=0", "every_n_steps is 0"),
    ],
)
def test_mistakes(grok, tmp_path, option, wanted):
    status, _, err = grok("fit", *SETTINGS["pairs"], "--run_dir", tmp_path, *option.split())
    assert status == 2
    assert wanted in err
