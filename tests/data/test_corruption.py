"""Corrupted labels: how many, which, and that all else stays as it is."""

import csv
import json

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.data import AlgorithmicDataModule, MNISTDataModule
from grokking_pl.data.corruption import corrupted_classes
from grokking_pl.errors import UserError
from grokking_pl.tasks import modular_addition
from tests.conftest import ROOT


def prepared(data):
    data.setup()
    return data


@given(
    classes=st.lists(st.sampled_from([0, 2, 3, 7]), min_size=1, max_size=40),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_fraction_gets_another_known_class(classes, fraction, seed):
    classes, known = torch.tensor(classes), torch.tensor([0, 2, 3, 7])
    new, corrupted = corrupted_classes(classes, fraction, known, seed)
    assert int(corrupted.sum()) == round(fraction * len(classes))
    assert torch.equal(new != classes, corrupted)
    assert torch.isin(new, known).all()


def test_every_other_class_is_equally_likely():
    new, _ = corrupted_classes(torch.ones(9000, dtype=torch.long), 1.0, torch.arange(4), seed=1)
    counts = new.bincount(minlength=4)
    assert counts[1] == 0
    assert counts.sum() == 9000
    assert ((counts[[0, 2, 3]] - 3000).abs() < 200).all()


@pytest.mark.parametrize("targets", ["vectors", "class", "one_hot"])
def test_algorithmic(targets):
    options = {"task": modular_addition(11), "train_fraction": 0.5, "targets": targets, "seed": 3}
    clean, data = (prepared(AlgorithmicDataModule(**options, corrupt_fraction=part)) for part in (0.0, 0.3))
    assert torch.equal(clean.inputs, data.inputs)
    assert torch.equal(clean.val_set[1], data.val_set[1])
    assert int(data.corrupted.sum()) == round(0.3 * data.num_train)
    different = (clean.targets != data.targets).reshape(121, -1).any(1)[: data.num_train]
    assert torch.equal(different, data.corrupted)
    results = data.train_set[0].sum(1) % 11
    assert torch.equal(data.true_classes, results)
    again = prepared(AlgorithmicDataModule(**options, corrupt_fraction=0.3))
    assert torch.equal(again.targets, data.targets)
    other = prepared(AlgorithmicDataModule(**{**options, "seed": 4}, corrupt_fraction=0.3))
    assert not torch.equal(other.corrupted, data.corrupted)


def test_mnist():
    clean, data = (prepared(MNISTDataModule(train_size=100, corrupt_fraction=part)) for part in (0.0, 0.5))
    assert int(data.corrupted.sum()) == 50
    assert torch.equal(clean.val_set[1], data.val_set[1])
    assert torch.equal((clean.train_set[1] != data.train_set[1]).any(1), data.corrupted)
    assert (data.train_set[1].sum(1) == 1).all()


@pytest.mark.parametrize("fraction", [-0.1, 1.5, float("nan")])
def test_out_of_range(fraction):
    with pytest.raises(UserError, match="corrupt_fraction is"):
        MNISTDataModule(corrupt_fraction=fraction)


def test_watched_in_a_run(grok, tmp_path):
    """What the callback says of each sample is what the labels say."""
    config = yaml.safe_load((ROOT / "configs/toy_classification.yaml").read_text())
    config["trainer"] = {"max_steps": 300, "enable_progress_bar": False, "callbacks": "CorruptedAccuracy"}
    config["data"]["init_args"]["corrupt_fraction"] = 0.4
    config["model"]["init_args"]["decoder"] = {"lr": 1e-2}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    status, _, err = grok("fit", "--config", tmp_path / "c.yaml", "--run_dir", tmp_path / "run")
    assert status == 0, err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    with (tmp_path / "run/corrupted_samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == round(0.4 * config["data"]["init_args"]["train_count"])
    assert all(row["given_class"] != row["true_class"] for row in rows)
    share = {kind: sum(row["outcome"] == kind for row in rows) / len(rows) for kind in ("memorised", "generalised")}
    assert share["memorised"] == pytest.approx(summary["train_accuracy_corrupted"])
    assert share["generalised"] == pytest.approx(summary["true_accuracy_corrupted"])
    assert share["memorised"] > 0.5
    assert 0 < summary["train_accuracy_clean"] <= 1
    status, _, err = grok(
        "fit", "--config", tmp_path / "c.yaml", "--data.corrupt_fraction=0", "--run_dir", tmp_path / "clean"
    )
    assert status == 2
    assert "set data.corrupt_fraction above 0" in err
