"""Regression on a teacher's outputs, against the teacher written in NumPy."""

import json

import numpy as np
import pytest
import torch
import yaml

from grokking_pl.data import TeacherStudent
from grokking_pl.errors import UserError
from tests.conftest import ROOT

ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "quadratic": lambda x: x**2,
}


def prepared(**options):
    data = TeacherStudent(**options)
    data.setup()
    return data


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_targets_are_the_teachers(activation, outputs):
    data = prepared(inputs=6, outputs=outputs, teacher_width=4, teacher_activation=activation, seed=2)
    hidden = ACTIVATIONS[activation](data.inputs.numpy() @ data.first.numpy())
    answers = hidden @ data.second.numpy()
    expected = (answers - answers.mean(0)) / answers.std(0)
    np.testing.assert_allclose(data.targets.numpy(), expected, atol=1e-4)
    assert data.sizes.outputs == outputs
    assert (data.num_train, len(data.inputs)) == (200, 1200)


def test_noise_is_on_the_training_targets_alone():
    clean, noisy = prepared(seed=1, train_samples=2000), prepared(seed=1, train_samples=2000, noise=0.5)
    assert torch.equal(clean.val_set[1], noisy.val_set[1])
    assert float((noisy.train_set[1] - clean.train_set[1]).std()) == pytest.approx(0.5, rel=0.1)


def test_teacher_seed_keeps_the_teacher():
    first, second = prepared(seed=1, teacher_seed=9), prepared(seed=2, teacher_seed=9)
    assert torch.equal(first.first, second.first)
    assert not torch.equal(first.inputs, second.inputs)
    assert not torch.equal(prepared(seed=1).first, prepared(seed=2).first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 0}, "inputs is 0"),
        ({"outputs": 0}, "outputs is 0"),
        ({"teacher_width": 0}, "teacher_width is 0"),
        ({"noise": -1.0}, "noise is -1"),
        ({"val_samples": 0}, "val_samples is 0"),
        ({"teacher_activation": "sin"}, "must be one of identity, relu, tanh, quadratic"),
    ],
)
def test_errors(options, message):
    with pytest.raises(UserError, match=message):
        TeacherStudent(**options)


def test_run_and_diagram(grok, tmp_path):
    """A student learns a linear teacher: its error falls, and its outputs get the teacher's sign."""
    config = yaml.safe_load((ROOT / "configs/sparse_parity.yaml").read_text())
    config["trainer"] = {"max_steps": 300, "enable_progress_bar": False, "callbacks": "PhaseTracker"}
    config["data"] = {"class_path": "grokking_pl.data.TeacherStudent", "init_args": {"teacher_activation": "identity"}}
    options = {"lr": 1e-2}
    config["model"]["init_args"].update(loss="mse", embeddings=options, decoder=options)
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(config))
    status, _, err = grok("fit", "--config", tmp_path / "base.yaml", "--run_dir", tmp_path / "run")
    assert status == 0, err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["train_loss"] < 0.01
    assert summary["val_accuracy"] > 0.85
    grid = {"steps": 20, "axes": {"data.noise": [0.0, 0.5]}, "workers": 1, "compile": False}
    (tmp_path / "d.yaml").write_text(yaml.safe_dump({"base": str(tmp_path / "base.yaml"), **grid}))
    status, _, err = grok("diagram", "--config", tmp_path / "d.yaml", "--folder", tmp_path / "d")
    assert status == 0, err
