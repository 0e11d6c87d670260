"""RQI by the decoder's outputs, against all pairs in a loop, and on circles and groups that the paper's misses."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.metrics import Representation, decoder_rqi, matrix_product, rqi
from grokking_pl.tasks import addition, modular_addition, symmetric_group


def by_pairs(embeddings, table, decode, tolerance):
    outputs = decode(embeddings[table.a] + embeddings[table.b]).double()
    scale = (outputs - outputs.mean(0)).square().mean().sqrt()
    equal = total = 0
    for s, t in itertools.combinations(range(len(table)), 2):
        if table.c[s] == table.c[t]:
            total += 1
            equal += float(((outputs[s] - outputs[t]) / scale).square().mean().sqrt()) < tolerance
    return equal / total


@given(p=st.integers(3, 7), outputs=st.integers(1, 4), seed=st.integers(0, 100), tolerance=st.floats(0.05, 1.5))
@settings(max_examples=20)
def test_against_all_pairs(p, outputs, seed, tolerance):
    draws = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(p, 2, generator=draws)
    weights = torch.randn(2, outputs, generator=draws)

    def decode(x):
        return torch.tanh(x @ weights)

    for table in (addition(p), modular_addition(p)):
        found = decoder_rqi(Representation(embeddings), table, decode, tolerance)
        assert float(found) == pytest.approx(by_pairs(embeddings, table, decode, tolerance))


def circle(p, frequency=1):
    angles = 2 * torch.pi * frequency * torch.arange(p) / p
    return torch.stack([angles.cos(), angles.sin()], 1)


def doubled_angle(sums):
    """Which is that of a + b, whatever the length of E_a + E_b."""
    x, y = (sums / sums.norm(dim=-1, keepdim=True)).unbind(-1)
    return torch.stack([x * x - y * y, 2 * x * y], -1)


@pytest.mark.parametrize(("p", "frequency"), [(11, 1), (29, 5), (53, 7)])
def test_circle_of_modular_addition(p, frequency):
    representation, table = Representation(circle(p, frequency)), modular_addition(p)
    assert float(decoder_rqi(representation, table, doubled_angle, 1e-3)) == 1
    assert float(rqi(representation, table)) < 0.25
    assert float(decoder_rqi(representation, table, nn.Identity(), 1e-3)) < 0.1


def test_symmetric_group():
    table = symmetric_group(3)
    matrices = torch.nn.functional.one_hot(torch.tensor([list(map(int, name)) for name in table.symbols]), 3).float()
    # The product of a table is "first a, then b", which matrices that act from the right multiply in the same order.
    representation = Representation(matrices.flatten(1), matrix_product)
    assert float(decoder_rqi(representation, table, nn.Identity(), 1e-3)) == 1
    # The decoder reads classes off noisy products, which are no longer equal.
    noisy = Representation(
        representation.embeddings + 0.1 * torch.randn(6, 9, generator=torch.Generator().manual_seed(0)), matrix_product
    )

    def nearest(products):
        return (products @ matrices.flatten(1).T == (products @ matrices.flatten(1).T).amax(1, keepdim=True)).float()

    assert float(decoder_rqi(noisy, table, nearest, 1e-3)) == 1
    assert float(decoder_rqi(noisy, table, nn.Identity(), 1e-3)) < 0.2


def test_batch_and_equal_outputs():
    table = modular_addition(5)
    two = Representation(torch.stack([circle(5), torch.randn(5, 2, generator=torch.Generator().manual_seed(0))]))
    first, second = decoder_rqi(two, table, doubled_angle, 0.01).tolist()
    assert first == 1
    assert second < 0.5
    assert float(decoder_rqi(Representation(circle(5)), table, lambda x: 0 * x + 0.3)) == 1


def test_mistakes():
    representation = Representation(circle(5))
    with pytest.raises(UserError, match="tolerance is 0"):
        decoder_rqi(representation, modular_addition(5), nn.Identity(), 0)
    with pytest.raises(UserError, match="5 embeddings, but"):
        decoder_rqi(representation, modular_addition(6), nn.Identity())
    with pytest.raises(UserError, match="outputs are nan"):
        decoder_rqi(representation, modular_addition(5), lambda x: x / 0)
    with pytest.raises(UserError, match="decode returned 3 outputs for 25"):
        decoder_rqi(representation, modular_addition(5), lambda x: x[:3])
