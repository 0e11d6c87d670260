"""Gini coefficient and inverse participation ratio, against their definitions by all pairs and by sums."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import gini, inverse_participation_ratio


@given(values=st.lists(st.floats(0, 100), min_size=1, max_size=8))
@settings(max_examples=50)
def test_against_definitions(values):
    n, total = len(values), sum(values)
    x = torch.tensor(values, dtype=torch.float64)
    # Half the mean absolute difference, over the mean.
    expected = sum(abs(a - b) for a in values for b in values) / (2 * n * total) if total else 0
    assert float(gini(x)) == pytest.approx(expected, abs=1e-9)
    squares = sum(a * a for a in values)
    participation = sum(a**4 for a in values) / squares**2 if squares > 1e-100 else None
    if participation is not None:
        assert float(inverse_participation_ratio(x)) == pytest.approx(participation)


def test_batches_and_zeros():
    x = torch.tensor([[1.0, 1.0], [0.0, 5.0], [0.0, 0.0]])
    assert gini(x).tolist() == [0, 0.5, 0]
    assert inverse_participation_ratio(x).tolist() == [0.5, 1, 0]


@pytest.mark.parametrize("measure", [gini, inverse_participation_ratio])
@pytest.mark.parametrize("wrong", [-1.0, float("nan")])
def test_mistakes(measure, wrong):
    with pytest.raises(UserError, match="negative or nan"):
        measure(torch.tensor([1.0, wrong]))
