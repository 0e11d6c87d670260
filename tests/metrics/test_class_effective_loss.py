"""The effective loss over same-label pairs, against all pairs in a loop."""

import itertools
import json

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import class_effective_loss, class_means
from grokking_pl.training import GrokkingModule


@given(n=st.integers(2, 12), k=st.integers(1, 3), count=st.integers(1, 4), seed=st.integers(0, 100))
@settings(max_examples=25)
def test_against_all_pairs(n, k, count, seed):
    draws = torch.Generator().manual_seed(seed)
    f = torch.randn(n, k, generator=draws, dtype=torch.float64) * 3 + 5
    classes = torch.randint(count, (n,), generator=draws)
    same = [(x, y) for x, y in itertools.combinations(range(n), 2) if classes[x] == classes[y]]
    scale = float((f - f.mean(0)).square().sum(1).mean())
    loss = float(class_effective_loss(f, classes))
    if same:
        assert loss == pytest.approx(sum(float((f[x] - f[y]).square().sum()) for x, y in same) / len(same) / scale)
        assert float(class_effective_loss(7 * f - 2, classes)) == pytest.approx(loss)
    else:
        assert loss != loss
    means = class_means(f, classes, count)
    for c in range(count):
        members = [(f[x] - f.mean(0)) / scale**0.5 for x in range(n) if classes[x] == c]
        expected = torch.stack(members).mean(0) if members else torch.zeros(k, dtype=torch.float64)
        assert torch.allclose(means[c], expected)


def test_classes_that_are_not_told_apart():
    f = torch.randn(3000, 5, generator=torch.Generator().manual_seed(0))
    assert float(class_effective_loss(f, torch.arange(3000) % 10)) == pytest.approx(2, abs=0.02)
    assert float(class_effective_loss(torch.full((4, 2), 0.1), torch.zeros(4, dtype=torch.long))) == 0
    with pytest.raises(UserError, match="nan"):
        class_effective_loss(torch.full((2, 2), torch.nan), torch.zeros(2, dtype=torch.long))


def test_callback(grok, small_mnist, tmp_path):
    watching = ("--trainer.callbacks+=ClassSeparation", "--trainer.callbacks.every_n_steps=10")
    status, _, err = grok("fit", *small_mnist, *watching, "--run_dir", tmp_path)
    assert status == 0, err
    metrics = pd.read_csv(tmp_path / "metrics.csv").set_index("step")
    assert metrics.train_class_loss.dropna().index.tolist() == [0, 10, 20, 30]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert 0 < summary["train_class_loss"] < metrics.train_class_loss[0] < 2.1
    assert (tmp_path / "class_means.png").read_bytes().startswith(b"\x89PNG")
    network = GrokkingModule.load_from_checkpoint(tmp_path / "checkpoints/last.ckpt", weights_only=False).network
    inputs = torch.rand(3, 784)
    assert torch.equal(network.layers[-1](network.encode(inputs)), network(inputs))


def test_network_that_encodes_nothing(grok, tmp_path):
    words = ("fit", "--config", "configs/toy_addition.yaml", "--trainer.callbacks=ClassSeparation")
    status, _, err = grok(*words, "--run_dir", tmp_path)
    assert status == 2
    assert "ClassSeparation needs a network whose method encode" in err
