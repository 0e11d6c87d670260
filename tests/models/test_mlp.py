"""The multilayer perceptron, against layers stacked by hand."""

import pytest
import torch
from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.models import MLP
from grokking_pl.sizes import Sizes

SIZES = Sizes(inputs=6, outputs=3)


class Square(nn.Module):
    def forward(self, x):
        return x * x


def by_hand(depth, width, activation, bias=True):
    widths = [6] + [width] * (depth - 1) + [3]
    layers = []
    for k in range(depth):
        layers.append(nn.Linear(widths[k], widths[k + 1], bias=bias))
        if k < depth - 1:
            layers.append(activation())
    return nn.Sequential(*layers)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("relu", nn.ReLU),
        ("leaky_relu", nn.LeakyReLU),
        ("elu", nn.ELU),
        ("selu", nn.SELU),
        ("gelu", nn.GELU),
        ("silu", nn.SiLU),
        ("tanh", nn.Tanh),
        ("sigmoid", nn.Sigmoid),
        ("quadratic", Square),
        ("identity", nn.Identity),
        ("torch.nn.Softplus", nn.Softplus),
        (Square, Square),
    ],
)
def test_same_function_as_layers_by_hand(depth, name, activation):
    torch.manual_seed(3)
    network = MLP(SIZES, depth=depth, width=5, activation=name)
    torch.manual_seed(3)
    expected = by_hand(depth, 5, activation)
    inputs = torch.randn(7, 6)
    assert torch.equal(network(inputs), expected(inputs))


def test_without_bias_and_last_activation():
    torch.manual_seed(3)
    network = MLP(SIZES, depth=4, width=5, bias=False, last_activation=False, decoder_layers=2)
    torch.manual_seed(3)
    expected = by_hand(4, 5, nn.ReLU, bias=False)
    del expected[5]
    inputs = torch.randn(7, 6)
    assert torch.equal(network(inputs), expected(inputs))
    encoder = list(network.embedding_parameters())
    assert len(encoder) == 2
    assert all(torch.equal(mine, other) for mine, other in zip(encoder, expected.parameters(), strict=False))


@pytest.mark.parametrize("alpha", [0.25, 8.0])
def test_alpha_scales_every_weight_and_bias(alpha):
    torch.manual_seed(3)
    scaled = dict(MLP(SIZES, width=5, alpha=alpha).named_parameters())
    torch.manual_seed(3)
    for name, parameter in MLP(SIZES, width=5).named_parameters():
        assert torch.equal(scaled[name], alpha * parameter), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth is 0"),
        ({"width": 0}, "width 0"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"alpha": float("inf")}, "alpha is inf"),
        ({"activation": "swish"}, "activation is 'swish'; it must be one of relu, leaky_relu"),
        ({"activation": dict}, "activation is <class 'dict'>; it must be"),
        ({"activation": "torch.sin"}, "a module class such as torch.nn.Softplus"),
        ({"activation": "torch.nn.Threshold"}, "give its class_path with init_args"),
        ({"activation": "nowhere.Softplus"}, "activation is 'nowhere.Softplus'"),
        ({"decoder_layers": 0}, "decoder_layers is 0"),
        ({"decoder_layers": 4}, "between 1 and the depth, 3"),
    ],
)
def test_errors(options, message):
    with pytest.raises(UserError, match=message):
        MLP(SIZES, **options)


def test_symbols_are_not_vectors():
    with pytest.raises(UserError, match="architecture with embeddings"):
        MLP(Sizes(inputs=2, outputs=3, symbols=10))
