"""The quadratic network of Gromov: what it computes, and that its analytic weights add modulo p."""

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.models import GromovMLP
from grokking_pl.sizes import Sizes


def pairs(p):
    return torch.cartesian_prod(torch.arange(p), torch.arange(p))


def accuracy(p, width, start, seed, scale=1.0):
    torch.manual_seed(seed)
    network = GromovMLP(Sizes(inputs=2, outputs=p, symbols=p), width, start, scale)
    with torch.no_grad():
        return (network(pairs(p)).argmax(1) == pairs(p).sum(1) % p).double().mean().item()


@pytest.mark.parametrize("seed", range(3))
def test_analytic_weights_add_modulo_97(seed):
    """Published: test accuracy 1 at p = 97 and width 500."""
    assert accuracy(97, 500, "analytic", seed) == 1
    assert accuracy(97, 500, "analytic", seed, scale=0.1) == 1
    assert accuracy(97, 500, "random_phases", seed) < 0.05
    assert accuracy(97, 500, "normal", seed) < 0.05


def test_a_narrow_network_does_not_suffice():
    assert accuracy(97, 20, "analytic", 0) < 0.9


def test_forward_is_the_formula():
    torch.manual_seed(0)
    network = GromovMLP(Sizes(inputs=2, outputs=5, symbols=5), width=8)
    first, second = network.parameters()
    for a, b in pairs(5).tolist():
        x = torch.zeros(10)
        x[a] = x[5 + b] = 1
        expected = second @ (first @ x) ** 2 / (10 * 8)
        torch.testing.assert_close(network(torch.tensor([[a, b]]))[0], expected)
    assert [name for name, _ in network.named_parameters()] == ["layers.0.weight", "layers.2.weight"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "closed"}, "start is 'closed'"),
        ({"scale": 0.0}, "scale is 0"),
        ({"start": "analytic"}, "the 5 symbols, but the data have 9 outputs: choose modular_addition"),
        ({"width": 0}, "width 0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(UserError, match=message):
        GromovMLP(Sizes(inputs=2, outputs=9, symbols=5), **options)
