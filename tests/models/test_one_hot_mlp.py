"""Pairs as two one-hot vectors: the same function as the perceptron on vectors, in a run and in a population."""

import csv
import json

import pytest
import torch
import yaml

from grokking_pl.errors import UserError
from grokking_pl.models import MLP, OneHotMLP
from grokking_pl.models.activations import ACTIVATIONS
from grokking_pl.sizes import Sizes
from tests.conftest import ROOT

P = 7
SIZES = Sizes(inputs=2, outputs=5, symbols=P)
PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_same_as_the_perceptron_on_one_hot_vectors(activation, bias):
    options = {"depth": 3, "width": 6, "activation": activation, "bias": bias, "alpha": 2.0, "decoder_layers": 2}
    torch.manual_seed(1)
    network = OneHotMLP(SIZES, **options)
    torch.manual_seed(1)
    plain = MLP(Sizes(inputs=2 * P, outputs=5), **options)
    vectors = torch.cat([torch.eye(P)[PAIRS[:, 0]], torch.eye(P)[PAIRS[:, 1]]], 1)
    assert torch.equal(network(PAIRS), plain(vectors))
    assert [p.shape for p in network.embedding_parameters()] == [p.shape for p in plain.embedding_parameters()]
    assert next(network.parameters()).shape == (6, 2 * P)
    assert network.double()(PAIRS).dtype == torch.float64


def test_published_size():
    network = OneHotMLP(Sizes(inputs=2, outputs=113, symbols=113))
    assert next(network.parameters()).shape == (200, 226)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (Sizes(inputs=4, outputs=2), "OneHotMLP embeds pairs of symbols, but the data are vectors"),
        (Sizes(inputs=4, outputs=9, symbols=5, tokens=9), "reads pairs of symbols, but the data are equations"),
    ],
)
def test_other_data(sizes, message):
    with pytest.raises(UserError, match=message):
        OneHotMLP(sizes)


def test_run_and_diagram(grok, tmp_path):
    config = yaml.safe_load((ROOT / "configs/toy_classification.yaml").read_text())
    architecture = {"class_path": "grokking_pl.models.OneHotMLP", "init_args": {"width": 16, "activation": "quadratic"}}
    config["model"]["init_args"]["architecture"] = architecture
    config["trainer"] = {"max_steps": 30, "enable_progress_bar": False, "callbacks": "PhaseTracker"}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(config))
    words = ["fit", "--config", tmp_path / "base.yaml", "--run_dir"]
    status, _, err = grok(*words, tmp_path / "run")
    assert status == 0, err
    assert json.loads((tmp_path / "run/summary.json").read_text())["steps"] == 30
    status, _, err = grok(*words, tmp_path / "other", "--trainer.callbacks+=RepresentationQuality")
    assert status == 2
    assert "OneHotMLP has no embeddings" in err

    grid = {"base": str(tmp_path / "base.yaml"), "steps": 40, "axes": {"model.decoder.lr": [1e-3, 1e-2]}}
    (tmp_path / "d.yaml").write_text(yaml.safe_dump({**grid, "workers": 1, "compile": False}))
    status, _, err = grok("diagram", "--config", tmp_path / "d.yaml", "--folder", tmp_path / "d")
    assert status == 0, err
    with (tmp_path / "d/runs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
