import math
from itertools import product

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.metrics import Phase, classify, classify_batch

NEVER = [None, math.nan, math.inf]


@pytest.mark.parametrize("never", NEVER)
def test_table_1(never):
    assert classify(200, 1199) is Phase.COMPREHENSION
    assert classify(200, 1200) is Phase.GROKKING
    assert classify(500, 10) is Phase.COMPREHENSION
    assert classify(0, 0) is Phase.COMPREHENSION
    assert classify(200, never) is Phase.MEMORIZATION
    assert classify(never, never) is Phase.CONFUSION
    assert classify(never, 200) is Phase.CONFUSION


def test_delay_is_a_parameter():
    assert classify(0, 1500, delay=2000) is Phase.COMPREHENSION
    assert classify(0, 1, delay=1) is Phase.GROKKING


def test_a_phase_is_its_name():
    assert Phase("grokking") is Phase.GROKKING
    assert f"{Phase.GROKKING}" == "grokking" == Phase.GROKKING


def test_batch_agrees_with_single_runs():
    steps = [math.nan, math.inf, 0.0, 10.0, 999.0, 1000.0, 1010.0, 99999.0]
    pairs = list(product(steps, steps))
    batch = torch.tensor(pairs, dtype=torch.float64).view(8, 8, 2)
    for delay in (1, 1000):
        phases = classify_batch(batch[..., 0], batch[..., 1], delay)
        assert phases.shape == (8, 8)
        assert [tuple(Phase)[k] for k in phases.flatten()] == [classify(*pair, delay) for pair in pairs]


def test_integer_steps():
    assert classify_batch(torch.tensor([1, 1]), torch.tensor([2, 2000])).tolist() == [0, 1]


def test_negative_steps():
    with pytest.raises(UserError, match=r"-1.*give nan for never"):
        classify(10, -1)
    with pytest.raises(UserError, match="give nan for never"):
        classify_batch(torch.tensor([-1.0]), torch.tensor([5.0]))


def test_empty_batch():
    assert classify_batch(torch.zeros(0), torch.zeros(0)).shape == (0,)
