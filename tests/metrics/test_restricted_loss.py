"""Restricted and excluded loss, against least squares on the terms written out, for any p."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import excluded_logits, excluded_loss, restricted_logits, restricted_loss


def cross_entropy(logits, p, pairs):
    """The mean over pairs, one by one."""
    losses = [torch.logsumexp(logits[a, b], 0) - logits[a, b, (a + b) % p] for a, b in pairs]
    return float(torch.stack(losses).mean())


@given(p=st.integers(2, 9), seed=st.integers(0, 1000), data=st.data())
@settings(max_examples=15)
def test_against_least_squares(p, seed, data):
    keys = data.draw(st.lists(st.integers(1, p // 2), min_size=1, unique=True))
    outputs = p + data.draw(st.integers(0, 1))
    draws = torch.Generator().manual_seed(seed)
    logits = torch.randn(p, p, outputs, generator=draws, dtype=torch.float64)
    sums = torch.arange(p)[:, None] + torch.arange(p)
    columns = [torch.ones(p * p, dtype=torch.float64)]
    for k in keys:
        angles = 2 * torch.pi * k * sums.flatten().double() / p
        columns += [angles.cos(), angles.sin()]
    design = torch.stack(columns, 1)
    fit = torch.linalg.pinv(design, rtol=1e-9) @ logits.flatten(0, 1)
    fitted = (design @ fit).view_as(logits)
    assert torch.allclose(restricted_logits(logits, keys), fitted, atol=1e-10)
    assert torch.allclose(excluded_logits(logits, keys), logits - fitted + logits.mean((0, 1)), atol=1e-10)

    everything = [(a, b) for a in range(p) for b in range(p)]
    train = torch.rand(p, p, generator=draws) < 0.5
    train[0, 0] = True
    chosen = [pair for pair in everything if train[pair]]
    assert float(restricted_loss(logits, keys)) == pytest.approx(cross_entropy(fitted, p, everything))
    without = logits - fitted + logits.mean((0, 1))
    assert float(excluded_loss(logits, keys, train)) == pytest.approx(cross_entropy(without, p, chosen))


def test_perfect_circuit_is_all_in_its_frequencies():
    p, keys = 13, [2, 5]
    sums = torch.arange(p)[:, None, None] + torch.arange(p)[:, None]
    logits = sum(20 * (2 * torch.pi * k * (sums - torch.arange(p)) / p).cos() for k in keys)
    assert float(restricted_loss(logits, keys)) < 1e-2
    assert float(excluded_loss(logits, keys)) == pytest.approx(float(torch.tensor(13.0).log()), abs=1e-4)
    assert float(restricted_loss(logits, [1])) == pytest.approx(float(torch.tensor(13.0).log()), abs=1e-4)


@pytest.mark.parametrize("keys", [[], [0], [7], [2, 2]])
def test_frequencies_out_of_range(keys):
    with pytest.raises(UserError, match="give distinct ones from 1 to 6, for p = 13"):
        restricted_loss(torch.zeros(13, 13, 13), keys)


def test_other_mistakes():
    with pytest.raises(UserError, match="5 outputs, but addition modulo 7"):
        excluded_loss(torch.zeros(7, 7, 5), [1])
    with pytest.raises(UserError, match="no pair"):
        excluded_loss(torch.zeros(7, 7, 7), [1], torch.zeros(7, 7, dtype=torch.bool))
