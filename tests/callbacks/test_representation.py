"""The callbacks that watch embeddings, run as a user runs them, against values worked out from their snapshots."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from grokking_pl.metrics import Representation, effective_dimension, pca_entropy, predicted_accuracy, rqi
from grokking_pl.tasks import addition

WATCHED = [
    "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=20",
    "--trainer.callbacks+=RepresentationQuality", "--trainer.callbacks.every_n_steps=1",
    "--trainer.callbacks+=EffectiveDimension", "--trainer.callbacks.every_n_steps=20",
    "--trainer.callbacks+=EmbeddingSnapshots", "--trainer.callbacks.steps=[0,20,100,600]",
    "--trainer.callbacks.animation=gif", "--trainer.callbacks+=EmbeddingNorm", "--trainer.callbacks.every_n_steps=20",
    "--model.embeddings.lr=2e-3", "--model.decoder.lr=2e-4",
]  # fmt: skip
TOY = ["--config", "configs/toy_addition.yaml", "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=20"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("toy") / "run"


@pytest.fixture
def toy_run(grok, run_dir):
    """A run with a fast embedding rate, so that its representation forms within 600 steps."""
    if not run_dir.exists():
        status, _, err = grok("fit", *TOY, *WATCHED, "--run_dir", run_dir, "--trainer.max_steps=600")
        assert status == 0, err
    return run_dir


def test_snapshots_agree_with_what_was_logged(toy_run):
    metrics = pd.read_csv(toy_run / "metrics.csv").set_index("step")
    with np.load(toy_run / "embeddings.npz") as file:
        assert file["steps"].tolist() == [0, 20, 100, 600]
        assert file["symbols"].tolist() == [str(k) for k in range(10)]
        embeddings = torch.from_numpy(file["embeddings"])
    assert embeddings.shape == (4, 10, 1)
    checkpoint = torch.load(toy_run / "checkpoints/last.ckpt")
    assert torch.equal(embeddings[-1], checkpoint["state_dict"]["network.embeddings"])
    legacy = np.random.RandomState(58)
    legacy.normal(0, 1, size=(19, 30))
    train = torch.from_numpy(legacy.choice(55, 45, replace=False))
    for step, snapshot in zip((0, 20, 100, 600), embeddings, strict=True):
        row = metrics.loc[step]
        assert row.rqi == pytest.approx(float(rqi(Representation(snapshot), addition(10))), abs=1e-6)
        expected = float(predicted_accuracy(Representation(snapshot), addition(10), train))
        assert row.predicted_accuracy == pytest.approx(expected, abs=1e-6)
        assert row.pca_entropy == pytest.approx(float(pca_entropy(snapshot)), abs=1e-5)
        assert row.effective_dimension == pytest.approx(float(effective_dimension(snapshot)), abs=1e-5)
        assert row.embedding_norm == pytest.approx(float(snapshot.square().mean().sqrt()), abs=1e-6)


def test_first_step_of_high_rqi(toy_run, grok, tmp_path):
    summary = json.loads((toy_run / "summary.json").read_text())
    step = summary["steps_to_rqi"]
    assert 0 < step < 600
    for steps, high in ((step, True), (step - 1, False)):
        status, _, err = grok(
            "fit", *TOY, "--run_dir", tmp_path / str(steps), f"--trainer.max_steps={steps}", "--trainer.callbacks=[]",
            "--model.embeddings.lr=2e-3", "--model.decoder.lr=2e-4", "--trainer.logger=false",
        )  # fmt: skip
        assert status == 0, err
        weights = torch.load(tmp_path / str(steps) / "checkpoints/last.ckpt")["state_dict"]
        assert (float(rqi(Representation(weights["network.embeddings"]), addition(10))) > 0.95) is high


def test_pictures_and_summary(toy_run):
    assert (toy_run / "embeddings.png").read_bytes().startswith(b"\x89PNG")
    assert (toy_run / "embeddings.gif").read_bytes().startswith(b"GIF8")
    summary = json.loads((toy_run / "summary.json").read_text())
    assert {"steps_to_rqi", "rqi", "predicted_accuracy", "effective_dimension", "embedding_norm"} <= summary.keys()


@pytest.mark.parametrize("callback", ["RepresentationQuality", "EffectiveDimension", "EmbeddingSnapshots"])
def test_network_without_embeddings(grok, small_mnist, tmp_path, callback):
    status, _, err = grok("fit", *small_mnist, "--run_dir", tmp_path, f"--trainer.callbacks+={callback}")
    assert status == 2
    assert f"grok: error: {callback}: MLP has no embeddings" in err


def test_interrupted_run_has_the_same_records(grok, toy_run, tmp_path):
    for stop in (260, 600):
        resume = ["--ckpt_path=last"] if stop == 600 else []
        assert grok("fit", *TOY, *WATCHED, "--run_dir", tmp_path, f"--trainer.max_steps={stop}", *resume)[0] == 0
    ours, theirs = (pd.read_csv(folder / "metrics.csv").set_index("step") for folder in (tmp_path, toy_run))
    for column in ("rqi", "predicted_accuracy", "effective_dimension", "train_accuracy", "loss"):
        assert ours[column].dropna().tolist() == theirs[column].dropna().tolist()
    first, second = (json.loads((folder / "summary.json").read_text()) for folder in (tmp_path, toy_run))
    assert first["steps_to_rqi"] == second["steps_to_rqi"]


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--trainer.callbacks=RepresentationQuality --trainer.callbacks.every_n_steps=0", "every_n_steps is 0"),
        ("--trainer.callbacks=RepresentationQuality --trainer.callbacks.threshold=1.5", "threshold is 1.5"),
        ("--trainer.callbacks=EmbeddingSnapshots --trainer.callbacks.steps=[-1]", "steps are"),
        ("--data.train_fraction=1.5 --data.train_count=null", "train_fraction is 1.5"),
        ("--data.task.p=1", "p is 1"),
        ("--data.task=grokking_pl.tasks.modular_division --data.task.p=10", "prime"),
        ("--model.architecture.sizes=3", "sizes"),
    ],
)
def test_mistakes(grok, tmp_path, option, wanted):
    status, _, err = grok("fit", *TOY, "--run_dir", tmp_path, *option.split())
    assert status == 2
    assert wanted in err
    assert err.count("grok: error") == 1
