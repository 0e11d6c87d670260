"""Callbacks that try other weights than the run's own, against checkpoints and the functions they call."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from grokking_pl.experiments import ExperimentBuilder
from grokking_pl.runs.weight_snapshots import WeightSnapshots
from grokking_pl.training import decision_map, stitched_accuracy, truncated_accuracy

QUIET = ["--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=10", "--trainer.callbacks=PhaseTracker"]
SETTINGS = {
    "toy": [
        "--config", "configs/toy_2d_modular.yaml", "--model.architecture.width=16", "--model.decoder.lr=1e-2",
    ],
    "pairs": [
        "--config", "configs/transformer_dropout.yaml", "--data.task.p=7", "--model.architecture.width=16",
    ],
    "equations": [
        "--config", "configs/papers/power_addition.yaml", "--data.modulus=7", "--model.architecture.width=16",
    ],
}  # fmt: skip
WATCHED = [
    "--trainer.callbacks+=TruncatedAccuracy", "--trainer.callbacks.every_n_steps=10",
    "--trainer.callbacks+=StitchedAccuracy", "--trainer.callbacks.count=4",
]  # fmt: skip
STEPS = [0, 1, 3, 10, 30]


@pytest.fixture
def fit(grok):
    def run(kind, folder, *options):
        status, _, err = grok("fit", *SETTINGS[kind], *QUIET, *options, "--run_dir", folder)
        assert status == 0, err
        return json.loads((folder / "summary.json").read_text())

    return run


def end_of(folder):
    """The module of a run as it ended, and its data."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    experiment = ExperimentBuilder().instantiate({k: config[k] for k in ("model", "data")}, config["seed_everything"])
    experiment.build()
    experiment.module.load_state_dict(weights_at_the_end(folder))
    return experiment.module, experiment.data


def weights_at_the_end(folder):
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize("kind", SETTINGS)
def test_values(fit, tmp_path, kind):
    summary = fit(kind, tmp_path, *WATCHED, "--trainer.max_steps=30")
    module, data = end_of(tmp_path)
    truncated = summary["truncated_accuracy"]
    numbers = truncated["components"]
    assert numbers == {"toy": [1, 2], "pairs": [1, 2, 3, 4, 5, 6], "equations": [1, 2, 3, 4, 5, 6]}[kind]
    metrics = pd.read_csv(tmp_path / "metrics.csv").set_index("step")
    for name, batch in (("train", data.train_set), ("val", data.val_set)):
        assert truncated[name] == pytest.approx(truncated_accuracy(module, batch, numbers).tolist())
        assert truncated[name][-1] == pytest.approx(summary[f"{name}_accuracy"])
        for k, accuracy in zip(numbers, truncated[name], strict=True):
            logged = metrics[f"{name}_accuracy_{k}_components"].dropna()
            assert logged.index.tolist() == [0, 10, 20, 30]
            assert logged[30] == pytest.approx(accuracy)
    snapshots = WeightSnapshots(tmp_path / "weights")
    assert snapshots.steps() == STEPS
    kept = [snapshots.read(step) for step in STEPS]
    for name, value in module.network.state_dict().items():
        assert torch.equal(kept[-1][name], value), name
    with np.load(tmp_path / "stitched_accuracy.npz") as file:
        assert file["steps"].tolist() == STEPS
        for name, batch in (("train", data.train_set), ("val", data.val_set)):
            assert file[name] == pytest.approx(stitched_accuracy(module, kept, batch).numpy())
        assert summary["last_decoder_on_first_embeddings"] == file["val"][-1, 0]
        assert summary["first_decoder_on_last_embeddings"] == file["val"][0, -1]
    for figure in ("truncated_accuracy", "stitched_accuracy"):
        assert (tmp_path / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_watching_changes_no_weight(fit, tmp_path):
    fit("pairs", tmp_path / "plain", "--trainer.max_steps=12")
    fit("pairs", tmp_path / "watched", *WATCHED, "--trainer.callbacks+=EmbeddingSnapshots", "--trainer.max_steps=12")
    watched = weights_at_the_end(tmp_path / "watched")
    for name, value in weights_at_the_end(tmp_path / "plain").items():
        assert torch.equal(watched[name], value), name


@pytest.mark.slow
def test_two_processes_find_the_same(fit, grok_process, tmp_path):
    options = [*WATCHED, "--trainer.callbacks+=DecisionMap", "--trainer.max_steps=12", "--trainer.precision=64-true"]
    one = fit("toy", tmp_path / "one", *options)
    process = grok_process(
        "fit", *SETTINGS["toy"], *QUIET, *options, "--trainer.accelerator=cpu", "--trainer.devices=2",
        "--run_dir", tmp_path / "two",
    )  # fmt: skip
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    two = json.loads((tmp_path / "two/summary.json").read_text())
    assert two["devices"] == 2
    for name in ("truncated_accuracy", "last_decoder_on_first_embeddings", "first_decoder_on_last_embeddings"):
        assert one[name] == two[name]
    for name in ("stitched_accuracy", "decision_map"):
        with np.load(tmp_path / f"one/{name}.npz") as ours, np.load(tmp_path / f"two/{name}.npz") as theirs:
            for key in ours:
                if ours[key].dtype.kind == "f":
                    np.testing.assert_allclose(theirs[key], ours[key], atol=1e-9)
                else:
                    assert np.array_equal(theirs[key], ours[key]), key


def test_other_files_are_no_snapshots(tmp_path):
    snapshots = WeightSnapshots(tmp_path / "weights")
    snapshots.write(5, {"of": torch.zeros(1)})
    for name in ("step_best.npz", "step_5.npz", "other.npz"):
        shutil.copyfile(snapshots.file(5), snapshots.path / name)
    assert snapshots.steps() == [5]


@pytest.mark.parametrize("place", ["same folder", "another folder", "another folder, weights lost"])
def test_a_run_that_goes_on_has_the_maps_of_a_whole_one(grok, fit, tmp_path, place):
    kept = ["--trainer.callbacks+=StitchedAccuracy", "--trainer.callbacks.steps=[0,5,9,20]"]
    fit("toy", tmp_path / "whole", *kept, "--trainer.max_steps=20")
    # What is in the folder of another run, or of a part that is trained again, is no part of the maps.
    WeightSnapshots(tmp_path / "parts/weights").write(9, {"of": torch.zeros(1)})
    fit("toy", tmp_path / "parts", *kept, "--trainer.max_steps=7")
    assert WeightSnapshots(tmp_path / "parts/weights").steps() == [0, 5]
    WeightSnapshots(tmp_path / "parts/weights").write(8, {"of": torch.zeros(1)})
    folder = tmp_path / "parts" if place == "same folder" else tmp_path / "on"
    if "lost" in place:
        shutil.rmtree(tmp_path / "parts/weights")
    checkpoint = tmp_path / "parts/checkpoints/last.ckpt"
    status, _, err = grok(
        "fit", *SETTINGS["toy"], *QUIET, *kept, "--trainer.max_steps=20", "--run_dir", folder, "--ckpt_path", checkpoint
    )
    assert status == 0, err
    assert ("no weights of steps [0, 5]" in err) is ("lost" in place)
    first = 2 if "lost" in place else 0
    with np.load(tmp_path / "whole/stitched_accuracy.npz") as whole, np.load(folder / "stitched_accuracy.npz") as parts:
        assert parts["steps"].tolist() == whole["steps"].tolist()[first:] == [0, 5, 9, 20][first:]
        for name in ("train", "val"):
            assert np.array_equal(parts[name], whole[name][first:, first:])
    assert WeightSnapshots(folder / "weights").steps() == [0, 5, 9, 20][first:]


def test_decision_map(fit, tmp_path):
    options = ["--trainer.callbacks+=DecisionMap", "--trainer.callbacks.points=40"]
    summary = fit("toy", tmp_path, *options, "--trainer.callbacks.published=[1.0,0.077]", "--trainer.max_steps=30")
    module, data = end_of(tmp_path)
    expected = decision_map(module, 40)
    with np.load(tmp_path / "decision_map.npz") as file:
        for name, value in vars(expected).items():
            assert np.array_equal(file[name], value), name
        embeddings = module.network.embeddings.detach()
        middles = module.network.combine(*(embeddings[data.inputs[:, k]] for k in (0, 1)))
        assert file["pairs"] == pytest.approx(middles.numpy(), abs=1e-5)
        assert file["train"].sum() == data.num_train
        for name, chosen in (("train", file["train"]), ("val", ~file["train"])):
            assert file["correct"][chosen].mean() == pytest.approx(summary[f"{name}_accuracy"])
        assert file["names"].tolist() == list(data.table.symbols)
    assert (summary["published_train_accuracy"], summary["published_val_accuracy"]) == (1.0, 0.077)
    assert (tmp_path / "decision_map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("kind", "callback", "option", "message"),
    [
        ("toy", "TruncatedAccuracy", "components=[0]", "components is [0]"),
        ("toy", "TruncatedAccuracy", "components=[3]", "components is [3], but the embeddings have dimension 2"),
        ("toy", "StitchedAccuracy", "steps=[-1]", "steps are [-1]"),
        ("toy", "StitchedAccuracy", "count=0", "count is 0"),
        ("toy", "DecisionMap", "points=1", "points is 1"),
        ("toy", "DecisionMap", "published=[1.0,2.0]", "published is [1.0, 2.0]"),
        ("pairs", "DecisionMap", "points=10", "DecisionMap: the embeddings of Transformer have dimension 16"),
        ("equations", "DecisionMap", "points=10", "DecisionMap"),
    ],
)
def test_mistakes(grok, tmp_path, kind, callback, option, message):
    status, _, err = grok(
        "fit", *SETTINGS[kind], *QUIET, f"--trainer.callbacks+={callback}", f"--trainer.callbacks.{option}",
        "--trainer.max_steps=10", "--run_dir", tmp_path,
    )  # fmt: skip
    assert status == 2
    assert message in err
    assert err.count("\n") <= 2


@pytest.mark.parametrize("callback", ["TruncatedAccuracy", "DecisionMap"])
def test_network_without_embeddings(grok, small_mnist, tmp_path, callback):
    status, _, err = grok("fit", *small_mnist, "--run_dir", tmp_path, f"--trainer.callbacks+={callback}")
    assert status == 2
    assert f"grok: error: {callback}" in err
    assert "has no embeddings" in err


def test_layers_before_the_decoder_take_the_place_of_embeddings(grok, small_mnist, tmp_path):
    status, _, err = grok(
        "fit", *small_mnist, "--run_dir", tmp_path, "--trainer.callbacks+=StitchedAccuracy",
        "--trainer.callbacks.steps=[0,30]",
    )  # fmt: skip
    assert status == 0, err
    summary = json.loads((tmp_path / "summary.json").read_text())
    with np.load(tmp_path / "stitched_accuracy.npz") as file:
        assert file["val"][-1, -1] == pytest.approx(summary["val_accuracy"])
