"""What the measures say of random weights and networks, where theory gives the number."""

import math

import pytest
import torch
from torch import nn

from grokking_pl.metrics import (
    excluded_loss,
    fourier_norms,
    gini,
    inverse_participation_ratio,
    logit_margins,
    neuron_frequencies,
    pair_spectrum,
    restricted_loss,
    tangent_kernel,
)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("d", [8, 128])
def test_norms_by_frequency(d):
    """Squared norms are chi-squared of 2 d degrees: E x^4 / (E x^2)^2 is 1 + 1 / d, and x has a deviation of 0.71."""
    norms = fourier_norms(drawn(200, 113, d))
    assert float(norms.square().mean()) == pytest.approx(2 * d, rel=0.01)
    assert float(inverse_participation_ratio(norms).mean()) == pytest.approx((1 + 1 / d) / 56, rel=0.01)
    assert float(gini(norms).mean()) == pytest.approx(1 / (2 * math.sqrt(math.pi * d)), rel=0.05)


def test_spectrum_over_pairs():
    """A product of two functions of the orthonormal basis has the variance of the noise."""
    p = 31
    values = drawn(p, p, 200)
    power = pair_spectrum(values).mean(2)
    of_one = torch.tensor([1.0] + [2.0] * 15)
    assert torch.allclose(power[1:, 1:], torch.outer(of_one, of_one)[1:, 1:], rtol=0.5)
    assert float(power[1:, 1:].mean()) == pytest.approx(4, rel=0.01)
    assert float(power[1:, 0].mean()) == pytest.approx(2, rel=0.05)
    share = neuron_frequencies(values).share
    assert 8 / (p * p - 1) < float(share.mean()) < 4 * 8 / (p * p - 1)  # the largest of fifteen chi-squared of 8


def test_losses_of_noise():
    """Of unit noise the key terms keep 2 K + 1 of p^2 parts; the rest costs log p + 1 / 2, but for few outputs."""
    p, keys = 31, [1, 4, 9]
    logits = drawn(p, p, p)
    assert float(restricted_loss(logits, keys)) == pytest.approx(math.log(p) + 7 / p**2 / 2, abs=0.01)
    whole = -logits.log_softmax(2).mean()  # no output is more right than another
    assert float(excluded_loss(logits, keys)) == pytest.approx(float(whole), abs=0.05)
    assert float(whole) == pytest.approx(math.log(p) + 0.5, abs=0.05)


def test_margins_of_noise():
    margins = logit_margins(drawn(50_000, 10), torch.arange(50_000) % 10)
    assert float((margins > 0).float().mean()) == pytest.approx(0.1, abs=0.005)


class Wide(nn.Module):
    """One hidden layer of m rectifiers, weights of unit variance, the output over the root of m."""

    def __init__(self, inputs, m):
        super().__init__()
        self.first = nn.Parameter(drawn(m, inputs))
        self.second = nn.Parameter(drawn(1, m, seed=1))

    def forward(self, x):
        return (x @ self.first.T).relu() @ self.second.T / math.sqrt(len(self.first))


def test_tangent_kernel_of_a_wide_network():
    """The arc-cosine kernels of order 1 and 0 (Cho and Saul, 2009; Jacot et al., 2018)."""
    x = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 0.2, 0.5], [0.0, 0.0, 2.0]])
    kernel = tangent_kernel(Wide(3, 40_000), x)
    lengths = x.norm(dim=1)
    lengths = torch.outer(lengths, lengths)
    angle = ((x @ x.T) / lengths).clamp(-1, 1).arccos()
    of_second = lengths * (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi)
    of_first = (x @ x.T) * (math.pi - angle) / (2 * math.pi)
    assert torch.allclose(kernel, (of_first + of_second).double(), rtol=0.03, atol=0.02)
