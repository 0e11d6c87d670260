"""Neurons that change sign near a sample, against distances from hyperplanes."""

import pytest
import torch
from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.models import MLP, ToyModel
from grokking_pl.sizes import Sizes
from grokking_pl.training import GrokkingModule, local_complexity


def module_of(architecture, sizes):
    module = GrokkingModule(architecture, loss="cross_entropy")
    module.build(sizes, None)
    return module


def test_only_hyperplanes_within_the_radius_are_crossed():
    sizes = Sizes(inputs=3, outputs=2)
    module = module_of(lambda sizes: MLP(sizes, depth=2, width=40), sizes)
    inputs = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    first = module.network.layers[0]
    distances = (first(inputs) / first.weight.norm(dim=1)).abs()
    for radius in (0.05, 0.5):
        within = (distances < radius * inputs.norm(dim=1).square().mean().sqrt()).sum(1)
        counts = local_complexity(module, inputs, radius, points=60)
        assert (counts <= within).all()
        assert float(counts.sum()) > 0.6 * float(within.sum())
    few, many = (local_complexity(module, inputs, 0.5, points).sum() for points in (2, 12))
    assert few < many


def test_symbols_are_moved_by_their_embeddings():
    sizes = Sizes(inputs=2, outputs=4, symbols=5)
    module = module_of(lambda sizes: ToyModel(sizes, embedding_dim=3, width=50, activation="relu"), sizes)
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    small, large = (local_complexity(module, pairs, radius) for radius in (1e-6, 1.0))
    assert small.shape == (25,)
    assert float(small.sum()) == 0
    assert float(large.mean()) > 5
    assert all(torch.equal(value, before[name]) for name, value in module.network.state_dict().items())


def test_mistakes():
    sizes = Sizes(inputs=3, outputs=2)
    module = module_of(lambda sizes: MLP(sizes, depth=1, width=4), sizes)
    with pytest.raises(UserError, match="has no nonlinearity"):
        local_complexity(module, torch.zeros(1, 3))
    module.network = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    with pytest.raises(UserError, match="radius is 0"):
        local_complexity(module, torch.zeros(1, 3), radius=0)
    with pytest.raises(UserError, match="points is 1"):
        local_complexity(module, torch.zeros(1, 3), points=1)
    with pytest.raises(UserError, match="Sequential has neither"):
        local_complexity(module, torch.zeros(1, 3, dtype=torch.long))
