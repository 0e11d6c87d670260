import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.data import AlgorithmicDataModule
from grokking_pl.errors import UserError
from grokking_pl.tasks import addition, modular_addition, symmetric_group


def prepared(**options):
    data = AlgorithmicDataModule(**options)
    data.setup()
    return data


def test_published_draws_to_the_bit():
    data = prepared(task=addition(10), train_count=50, batch_size=45, split="published", seed=58)
    np.random.seed(58)
    vectors = np.random.normal(0, 1, size=(19, 30))
    train = np.random.choice(55, 50, replace=False)
    pairs = [(i, j) for i in range(10) for j in range(i, 10)]
    assert torch.equal(data.class_targets, torch.tensor(vectors, dtype=torch.float32))
    assert data.train_set[0].tolist() == [list(pairs[s]) for s in train]
    assert data.val_set[0].tolist() == [list(pairs[s]) for s in range(55) if s not in train]
    assert torch.equal(data.val_set[1], torch.stack([data.class_targets[a + b] for a, b in data.val_set[0]]))
    batches = data.index_stream()(0)
    for _ in range(5):
        assert next(batches).tolist() == np.random.choice(50, 45, replace=False).tolist()


def test_published_batches_go_on_after_an_interruption():
    data = prepared(task=addition(10), train_count=50, batch_size=45, split="published", seed=3)
    whole = itertools.islice(data.index_stream()(0), 4, 8)
    for ours, theirs in zip(data.index_stream()(4), whole, strict=False):
        assert torch.equal(ours, theirs)


def test_published_draws_for_classes_and_for_permutations():
    data = prepared(task=addition(10), train_count=45, targets="class", split="published", seed=1)
    np.random.seed(1)
    np.random.normal(0, 1, size=(19, 19))
    assert data.train_indices.tolist() == np.random.choice(55, 45, replace=False).tolist()
    assert data.sizes.outputs == 19
    assert torch.equal(data.targets, data.inputs.sum(1))
    data = prepared(task=symmetric_group(3), train_count=24, split="published", seed=0)
    np.random.seed(0)
    assert torch.equal(data.class_targets, torch.tensor(np.random.normal(0, 1, size=(6, 30)), dtype=torch.float32))
    assert data.train_indices.tolist() == np.random.choice(36, 24, replace=False).tolist()


@given(p=st.integers(2, 12), fraction=st.floats(0.2, 0.8), seed=st.integers(0, 1000), vectors=st.booleans())
@settings(max_examples=30, deadline=None)
def test_split_is_a_partition_with_the_right_targets(p, fraction, seed, vectors):
    table = modular_addition(p)
    data = prepared(
        task=table, train_fraction=fraction, targets="vectors" if vectors else "class", target_dim=3, seed=seed
    )
    assert len(data.train_set[0]) == round(fraction * p * p)
    assert sorted(map(tuple, data.inputs.tolist())) == sorted(itertools.product(range(p), repeat=2))
    results = data.inputs.sum(1) % p
    assert torch.equal(data.targets, data.class_targets[results] if vectors else results)


def test_seed_decides_the_split():
    first, again, other = (prepared(task=addition(10), train_count=30, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"train_fraction": 1.5}, "train_fraction is 1.5"),
        ({"train_fraction": 0}, "train_fraction is 0"),
        ({"train_fraction": 0.999}, "0 for validation"),
        ({"train_fraction": 0.001}, "0 for training"),
        ({"train_count": 55}, "none of the 55 samples for validation"),
        ({"train_count": 0}, "train_count is 0; it must be at least 1"),
        ({"train_count": -3}, "train_count is -3; it must be at least 1"),
        ({"train_count": 5, "train_fraction": 0.5}, "give one and"),
        ({}, "give one and"),
        ({"train_count": 5, "target_dim": 0}, "target_dim is 0"),
    ],
)
def test_mistakes(options, wanted):
    with pytest.raises(UserError, match=wanted):
        AlgorithmicDataModule(task=addition(10), **options)
