"""The Fourier spectrum of embeddings, against sums written out."""

import cmath
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import fourier_norms, fourier_power, key_frequencies


@given(p=st.integers(3, 9), d=st.integers(1, 4), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_against_sums(p, d, seed):
    e = torch.randn(p, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    power = []
    for k in range(1, p):
        transform = [
            sum(float(e[a, i]) * cmath.exp(-2j * math.pi * k * a / p) for a in range(p)) for i in range(d)
        ]  # fmt: skip
        power.append(sum(abs(value) ** 2 for value in transform))
    # Frequencies k and p - k are one.
    together = [power[k - 1] + (power[p - k - 1] if 2 * k != p else 0) for k in range(1, p // 2 + 1)]
    expected = [value / sum(together) for value in together]
    assert fourier_power(e).tolist() == pytest.approx(expected, abs=1e-9)


def circle(p, frequency, radius=1.0):
    angles = 2 * torch.pi * frequency * torch.arange(p) / p
    return radius * torch.stack([angles.cos(), angles.sin()], 1)


def test_circles():
    embeddings = torch.cat([circle(53, 5), circle(53, 20, 0.5), torch.full((53, 3), 7.0)], 1)
    power = fourier_power(embeddings)
    assert power[4].item() == pytest.approx(0.8, abs=1e-5)
    assert power[19].item() == pytest.approx(0.2, abs=1e-5)
    assert (key_frequencies(embeddings).nonzero().squeeze(1) + 1).tolist() == [5, 20]
    assert power.shape == (26,)


def test_random_embeddings_have_no_key_frequency():
    embeddings = torch.randn(50, 53, 128, generator=torch.Generator().manual_seed(0))
    assert not key_frequencies(embeddings).any()
    assert fourier_power(embeddings).sum(-1).tolist() == pytest.approx([1.0] * 50, abs=1e-5)


def test_equal_embeddings_have_no_power():
    assert not fourier_power(torch.full((7, 3), 0.3)).any()


def test_mistakes():
    with pytest.raises(UserError, match="at least two"):
        fourier_power(torch.zeros(1, 3))
    with pytest.raises(UserError, match="nan"):
        fourier_power(torch.full((4, 2), torch.nan))
    with pytest.raises(UserError, match="factor is 1"):
        key_frequencies(torch.zeros(4, 2), 1.0)


@given(p=st.integers(2, 9), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_norms_against_a_basis(p, seed):
    weights = torch.randn(p, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    symbols = torch.arange(p, dtype=torch.float64)
    expected = []
    for k in range(1, p // 2 + 1):
        squared = 0.0
        for wave in (torch.cos, torch.sin)[: 1 if 2 * k == p else 2]:
            direction = wave(2 * torch.pi * k * symbols / p)
            squared += float(((direction / direction.norm()) @ weights).square().sum())
        expected.append(math.sqrt(squared))
    assert fourier_norms(weights).tolist() == pytest.approx(expected)
