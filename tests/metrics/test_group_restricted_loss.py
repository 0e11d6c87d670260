"""Restricted and excluded loss of groups, against least squares on the entries of the representations' matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import (
    character_table,
    group_excluded_logits,
    group_excluded_loss,
    group_restricted_logits,
    group_restricted_loss,
    restricted_logits,
)
from grokking_pl.tasks import addition, modular_addition, permutation_group, symmetric_group
from tests.metrics.groups import representations

S3, S5 = symmetric_group(3), symmetric_group(5)


def drawn(p, outputs, seed=0):
    return torch.randn(p, p, outputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("table", "n", "keys"),
    [
        (S3, 3, ["sign"]),
        (S3, 3, ["standard"]),
        (S3, 3, ["sign", "standard"]),
        (S5, 5, ["standard"]),
        (S5, 5, ["turned", "sign"]),
        (S5, 5, ["exterior"]),
    ],
)
def test_against_least_squares(table, n, keys):
    p = table.p
    logits = drawn(p, 3 if n == 5 else 7)
    matrices, numbers = representations(table, n)
    product = torch.empty(p, p, dtype=torch.long)
    product[table.a, table.b] = table.c
    columns = [torch.ones(p * p, 1, dtype=torch.float64)]
    columns += [matrices[name][product.flatten()].flatten(1) for name in keys]
    design = torch.cat(columns, 1)
    fit = torch.linalg.solve(design.T @ design, design.T @ logits.flatten(0, 1))
    fitted = (design @ fit).view_as(logits)
    irreps = [numbers[name] for name in keys]
    assert torch.allclose(group_restricted_logits(logits, table, irreps), fitted, atol=1e-10)
    without = logits - fitted + logits.mean((0, 1))
    assert torch.allclose(group_excluded_logits(logits, table, irreps), without, atol=1e-10)


def test_losses_against_a_loop():
    logits, chosen = drawn(6, 7), torch.rand(6, 6, generator=torch.Generator().manual_seed(1)) < 0.5
    for loss, remaining in (
        (group_restricted_loss, group_restricted_logits(logits, S3, [2])),
        (group_excluded_loss, group_excluded_logits(logits, S3, [2])),
    ):
        for samples in (None, chosen):
            values = [
                float(torch.logsumexp(remaining[a, b], 0) - remaining[a, b, c])
                for a, b, c in zip(*(column.tolist() for column in (S3.a, S3.b, S3.c)), strict=True)
                if samples is None or samples[a, b]
            ]
            assert float(loss(logits, S3, [2], samples)) == pytest.approx(sum(values) / len(values))


@given(p=st.integers(2, 9), seed=st.integers(0, 100), data=st.data())
@settings(max_examples=15)
def test_cyclic_group_has_frequencies(p, seed, data):
    table, logits = modular_addition(p), drawn(p, p, seed)
    frequencies = data.draw(st.lists(st.integers(1, p // 2), min_size=1, unique=True))
    group = character_table(table)
    of_irrep = (group.characters[:, group.classes[1]].angle() / (2 * torch.pi) * p).round().abs().long().tolist()
    irreps = [of_irrep.index(k) for k in frequencies]  # one of k and p - k stands for both
    expected = restricted_logits(logits, frequencies)
    assert torch.allclose(group_restricted_logits(logits, table, irreps), expected, atol=1e-10)
    both = [number for number, k in enumerate(of_irrep) if k in frequencies]
    assert torch.allclose(group_restricted_logits(logits, table, both), expected, atol=1e-10)


@pytest.mark.parametrize("n", [3, 5])
def test_characters_are_all_in_their_representation(n):
    """Logits chi(a b c^-1), with which Chughtai et al. explain networks of groups."""
    table = symmetric_group(n)
    matrices, numbers = representations(table, n)
    group = character_table(table)
    chi = matrices["standard"].diagonal(dim1=1, dim2=2).sum(1)
    logits = 10 * chi[group.quotients[group.products]]
    key = numbers["standard"]
    assert float(group_restricted_loss(logits, table, [key])) < 1e-2
    nothing = pytest.approx(float(torch.tensor(float(table.p)).log()))
    assert float(group_excluded_loss(logits, table, [key])) == nothing
    assert float(group_restricted_loss(logits, table, [numbers["sign"]])) == nothing


def test_all_representations_make_every_function_of_the_product():
    table = permutation_group([[1, 2, 0, 3], [1, 0, 3, 2]])  # A4, which has complex ones
    group, logits = character_table(table), drawn(12, 12)
    everything = list(range(1, len(group.dimensions)))
    means = torch.stack([logits[group.products == g].mean(0) for g in range(12)])
    assert torch.allclose(group_restricted_logits(logits, table, everything), means[group.products], atol=1e-10)
    assert group.conjugates.tolist() == [0, 2, 1, 3]
    one, other = (group_restricted_logits(logits, table, [k, 3]) for k in (1, 2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("irreps", [[], [0], [3], [2, 2]])
def test_representations_that_there_are_not(irreps):
    with pytest.raises(UserError, match="give different ones of 1 to 2, for "):
        group_restricted_loss(drawn(6, 6), S3, irreps)


def test_other_mistakes():
    with pytest.raises(UserError, match="is not a group operation"):
        group_restricted_loss(drawn(5, 9), addition(5), [1])
    with pytest.raises(UserError, match=r"the logits are of \(5, 5\) pairs, but .* has 6 elements"):
        group_excluded_loss(drawn(5, 6), S3, [1])
    with pytest.raises(UserError, match=r"the logits have 5 outputs, but .* has 6 results"):
        group_excluded_loss(drawn(6, 5), S3, [1])
    with pytest.raises(UserError, match="no pair"):
        group_excluded_loss(drawn(6, 6), S3, [1], torch.zeros(6, 6, dtype=torch.bool))
