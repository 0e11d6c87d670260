"""Sparse parity: the class is the parity of the relevant entries, and no sample occurs a second time."""

import itertools

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.data import OnlineSparseParity, SparseParity
from grokking_pl.errors import UserError
from tests.conftest import ROOT


def prepared(cls=SparseParity, **options):
    data = cls(**options)
    data.setup()
    return data


@given(
    bits=st.integers(1, 12), relevant=st.integers(1, 12), sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1), targets=st.sampled_from(["class", "one_hot", "sign"]),
)  # fmt: skip
def test_samples(bits, relevant, sizes, seed, targets):
    options = {"bits": bits, "relevant": min(relevant, bits), "train_samples": sizes[0], "val_samples": sizes[1]}
    if sum(sizes) > 2**bits:
        with pytest.raises(UserError, match=f"are more than the {2**bits} vectors of {bits} bits"):
            SparseParity(**options)
        return
    data = prepared(**options, seed=seed, targets=targets)
    rows = [tuple(row) for row in data.inputs.tolist()]
    assert len({*rows}) == len(rows) == sum(sizes)
    assert {*itertools.chain(*rows)} <= {1.0, -1.0}
    assert data.num_train == sizes[0]
    classes = [sum(entry < 0 for entry in row[: options["relevant"]]) % 2 for row in rows]
    if targets == "sign":
        assert data.targets.squeeze(1).tolist() == [1 - 2 * c for c in classes]
    else:
        assert torch.equal(data.targets, torch.eye(2)[classes] if targets == "one_hot" else torch.tensor(classes))


def test_many_bits():
    data = prepared(bits=200, relevant=3, train_samples=500, val_samples=500, seed=1)
    assert data.inputs.mean(0).abs().max() < 0.2
    assert torch.equal(prepared(bits=200, train_samples=500, val_samples=500, seed=1).inputs, data.inputs)
    assert not torch.equal(prepared(bits=200, train_samples=500, val_samples=500, seed=2).inputs, data.inputs)


def test_online_batches_are_new_and_go_on_where_they_were():
    data = prepared(OnlineSparseParity, bits=30, relevant=2, batch_size=8, seed=5)
    batches = list(itertools.islice(data.train_dataloader(), 6))
    assert len({tuple(row) for inputs, _ in batches for row in inputs.tolist()}) == 48
    for inputs, targets in batches:
        assert torch.equal(targets, (inputs[:, 0] * inputs[:, 1] < 0).long())
    resumed = data.train_dataloader()
    resumed.load_state_dict({"consumed": 4})
    for ours, theirs in zip(resumed, batches[4:], strict=False):
        assert torch.equal(ours[0], theirs[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"relevant": 0}, "relevant is 0 and bits 40"),
        ({"relevant": 41}, "relevant is 41"),
        ({"train_samples": 0}, "train_samples is 0"),
        ({"val_samples": -1}, "val_samples is -1"),
    ],
)
def test_errors(options, message):
    with pytest.raises(UserError, match=message):
        SparseParity(**options)


def test_online_needs_a_batch_size():
    with pytest.raises(UserError, match="batch_size is null; give the number of samples"):
        OnlineSparseParity(batch_size=None)


def test_runs_and_diagram(grok, tmp_path):
    config = yaml.safe_load((ROOT / "configs/sparse_parity.yaml").read_text())
    config["model"]["init_args"]["architecture"]["init_args"]["width"] = 8
    config["trainer"] = {"max_steps": 20, "enable_progress_bar": False, "callbacks": "PhaseTracker"}
    config["data"]["init_args"]["batch_size"] = 32
    grid = {"steps": 20, "axes": {"data.train_samples": [50, 100]}, "workers": 1, "compile": False}
    for name in ("SparseParity", "OnlineSparseParity"):
        config["data"]["class_path"] = f"grokking_pl.data.{name}"
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config))
        (tmp_path / "d.yaml").write_text(yaml.safe_dump({"base": str(tmp_path / f"{name}.yaml"), **grid}))
        status, _, err = grok("fit", "--config", tmp_path / f"{name}.yaml", "--run_dir", tmp_path / name)
        assert status == 0, err
        status, _, err = grok("diagram", "--config", tmp_path / "d.yaml", "--folder", tmp_path / f"d_{name}")
        if name == "SparseParity":
            assert status == 0, err
        else:
            assert status == 2
            assert "OnlineSparseParity overrides train_dataloader, which only grok fit supports" in err
