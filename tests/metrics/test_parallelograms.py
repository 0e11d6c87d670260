"""Parallelograms by class sums against their enumeration."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics.parallelograms import (
    _scattered_sums,
    class_sizes,
    count_parallelograms,
    gram_matrix,
)
from grokking_pl.tasks import addition, modular_addition, modular_multiplication, modular_subtraction


def equations(table, mask):
    """(u_s - u_t) for every pair of training samples with the same result."""
    rows = []
    for s, t in combinations(mask.nonzero()[:, 0].tolist(), 2):
        if table.c[s] == table.c[t]:
            row = [0] * table.p
            for sample, sign in ((s, 1), (t, -1)):
                row[table.a[sample]] += sign
                row[table.b[sample]] += sign
            rows.append(row)
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, table.p)


@st.composite
def tables_and_masks(draw):
    kind = draw(st.sampled_from((addition, modular_addition, modular_multiplication)))
    table = kind(draw(st.integers(2, 8 if kind is addition else 5)))
    return table, torch.tensor(draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table))))


@given(tables_and_masks())
@settings(max_examples=30, deadline=None)
def test_count_and_gram_matrix_are_those_of_the_enumeration(case):
    table, mask = case
    rows = equations(table, mask)
    assert count_parallelograms(table, mask) == len(rows)
    assert torch.equal(gram_matrix(table, mask), rows.T @ rows)
    member = mask[None].double()
    squares, sums, peers = _scattered_sums(table, member)
    assert torch.equal(peers[0].long(), class_sizes(table, mask)[table.c])
    assert torch.equal(squares[0] - sums[0].T @ sums[0], rows.T @ rows)
    assert class_sizes(table, mask).sum() == mask.sum()


def test_a_batch_is_its_sets_one_by_one():
    table = addition(7)
    masks = torch.rand(2, 3, len(table), generator=torch.Generator().manual_seed(0)) < 0.5
    batched = gram_matrix(table, masks)
    assert batched.shape == (2, 3, 7, 7)
    for i in range(2):
        for j in range(3):
            assert torch.equal(batched[i, j], gram_matrix(table, masks[i, j].nonzero()[:, 0]))


def test_large_tables_are_summed_entry_by_entry():
    table = addition(40)
    mask = torch.rand(len(table), generator=torch.Generator().manual_seed(0)) < 0.1
    rows = equations(table, mask)
    assert torch.equal(gram_matrix(table, mask), rows.T @ rows)


def test_a_training_set_without_parallelograms_gives_zeros():
    table = addition(5)
    empty = torch.zeros(len(table), dtype=torch.bool)
    assert count_parallelograms(table, empty) == 0
    assert not gram_matrix(table, empty).any()
    assert not gram_matrix(table, torch.tensor([], dtype=torch.long)).any()


def test_operations_that_do_not_commute_have_no_gram_matrix():
    with pytest.raises(UserError, match="does not commute"):
        gram_matrix(modular_subtraction(5))
