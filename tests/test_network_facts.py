"""The script that says what a network of others does, of one whose facts are known."""

import runpy
import sys

import numpy as np
import pytest
import torch

from grokking_pl.metrics import excluded_loss, restricted_loss
from grokking_pl.models import Transformer, named_activations, to_transformer_lens
from grokking_pl.runs import write_weights
from grokking_pl.sizes import Sizes
from tests.conftest import ROOT

P = 17  # of eight frequencies two stand out


@pytest.fixture
def facts(monkeypatch, capsys):
    def run(*words):
        script = str(ROOT / "scripts/network_facts.py")
        monkeypatch.syspath_prepend(ROOT / "scripts")
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        runpy.run_path(script, run_name="__main__")
        lines = (line.split("│")[1:3] for line in capsys.readouterr().out.splitlines() if line.startswith("│"))
        return {name.strip(): value.strip() for name, value in lines}

    return run


def test_of_a_circle(facts, tmp_path):
    """Embeddings on circles of the frequencies 2 and 5."""
    torch.manual_seed(0)
    sizes = Sizes(inputs=2, outputs=P, symbols=P)
    network = Transformer(sizes, layers=1, heads=2, width=8, norm="none", readout="last", equals=True, bias="mlp")
    angles = 2 * torch.pi * torch.arange(P)[:, None] * torch.tensor([2, 5]) / P
    with torch.no_grad():
        network.tokens.weight[:P] = torch.cat([angles.cos(), angles.sin()], 1).repeat(1, 2)
    state = to_transformer_lens(network)
    write_weights(state, tmp_path / "circle.safetensors")
    np.savez(tmp_path / "circle.npz", **{name: value.numpy() for name, value in state.items()})
    found = facts(tmp_path / "circle.npz", "--train_fraction", 0)
    assert found["key frequencies"] == "2, 5"
    logits = named_activations(network)["outputs"]
    assert float(found["restricted loss, all pairs"]) == pytest.approx(float(restricted_loss(logits, [2, 5])), rel=1e-3)
    assert float(found["excluded loss, training pairs"]) == pytest.approx(
        float(excluded_loss(logits, [2, 5])), rel=1e-3
    )
    assert "loss of the other pairs" not in found
    split = facts(tmp_path / "circle.safetensors")
    assert split["restricted loss, all pairs"] == found["restricted loss, all pairs"]
    assert split["loss of the other pairs"] != split["loss of the training pairs"]


def test_mistakes(facts, tmp_path):
    for name, content in (
        ("no.npz", None),
        ("half.npz", b"half"),
        ("half.safetensors", b"half"),
        ("no.safetensors", None),
    ):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(SystemExit, match=name):
            facts(tmp_path / name)
    write_weights({"embed.W_E": torch.zeros(3, 3)}, tmp_path / "part.safetensors")
    with pytest.raises(SystemExit, match="the state dict has no blocks"):
        facts(tmp_path / "part.safetensors")
