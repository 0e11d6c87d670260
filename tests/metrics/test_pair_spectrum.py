"""The spectrum over pairs and the neurons' frequencies, against an orthonormal basis that is written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import neuron_frequencies, pair_spectrum


def basis(p):
    """The orthonormal functions of one operand, and the frequency of each."""
    a = torch.arange(p, dtype=torch.float64)
    rows, frequencies = [torch.ones(p, dtype=torch.float64)], [0]
    for k in range(1, p // 2 + 1):
        angles = 2 * torch.pi * k * a / p
        rows += [angles.cos()] + ([angles.sin()] if 2 * k != p else [])
        frequencies += [k] * (1 if 2 * k == p else 2)
    stacked = torch.stack(rows)
    stacked = stacked / stacked.norm(dim=1, keepdim=True)
    assert torch.allclose(stacked @ stacked.T, torch.eye(p, dtype=torch.float64), atol=1e-12)
    return stacked, frequencies


@given(p=st.integers(2, 9), n=st.integers(1, 3), seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_against_the_basis(p, n, seed):
    values = torch.randn(p, p, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    functions, frequencies = basis(p)
    coefficients = torch.einsum("ia,jb,abn->ijn", functions, functions, values)
    expected = torch.zeros(p // 2 + 1, p // 2 + 1, n, dtype=torch.float64)
    for i, k in enumerate(frequencies):
        for j, l in enumerate(frequencies):  # noqa: E741
            expected[k, l] += coefficients[i, j].square()
    assert torch.allclose(pair_spectrum(values), expected, atol=1e-10)
    neurons = neuron_frequencies(values)
    for neuron in range(n):
        power = expected[..., neuron]
        explained = [float(power[k, 0] + power[0, k] + power[k, k]) for k in range(1, p // 2 + 1)]
        variance = float(values[..., neuron].var(correction=0)) * p * p
        assert neurons.frequency[neuron] == 1 + max(range(len(explained)), key=explained.__getitem__)
        assert float(neurons.share[neuron]) == pytest.approx(max(explained) / variance)


def test_neurons_of_a_circuit():
    p = 11
    a = 2 * torch.pi * torch.arange(p) / p
    one = (3 * a).cos()[:, None] + (3 * a).sin() + (3 * a).cos()[:, None] * (3 * a).cos()
    mixed = one + 0.5 * (2 * a).cos()[:, None].expand(p, p)
    neurons = neuron_frequencies(torch.stack([one, mixed, torch.full((p, p), 0.3)], 2))
    assert neurons.frequency.tolist() == [3, 3, 0]
    one_variance, rest = p * p * (0.5 + 0.5 + 0.25), p * p * 0.125
    assert neurons.share.tolist() == pytest.approx([1, one_variance / (one_variance + rest), 0], abs=1e-5)


def test_nan():
    with pytest.raises(UserError, match="nan"):
        pair_spectrum(torch.full((3, 3, 1), torch.nan))
