"""Nullity and inferable samples against exact ranks by sympy, on random and on adversarial training sets."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from grokking_pl.metrics import ideal_accuracy
from grokking_pl.metrics.ground_states import _by_substitution, full_nullity, ground_states
from grokking_pl.metrics.substitution import rank_bound
from grokking_pl.tasks import OperationTable, addition, modular_addition


def equation(table, s, t):
    row = [0] * table.p
    for sample, sign in ((s, 1), (t, -1)):
        row[table.a[sample]] += sign
        row[table.b[sample]] += sign
    return row


def rank(rows):
    """The rank over the rationals."""
    return DomainMatrix.from_list(rows, QQ).rank() if rows else 0


def exact(table, mask):
    """Nullity and inferable samples by a rank computation for each candidate, over the rationals."""
    train = mask.nonzero()[:, 0].tolist()
    rows = [equation(table, s, t) for s, t in combinations(train, 2) if table.c[s] == table.c[t]]

    r = rank(rows)
    inferable = [
        any(
            table.c[s] == table.c[t] and (s == t or (s not in train and rank([*rows, equation(table, s, t)]) == r))
            for t in train
        )
        for s in range(len(table))
    ]
    return table.p - r, inferable


def table_of(p, classes):
    """A commutative table whose result classes are the given lists of pairs."""
    samples = [(*pair, c) for c, pairs in enumerate(classes) for pair in pairs]
    a, b, c = torch.tensor(samples).T
    names = tuple(map(str, range(p)))
    return OperationTable(a, b, c, names, tuple(map(str, range(len(classes)))), True, "custom")


def doubling(p):
    """E_{k+1} - E_0 = 2 (E_k - E_0), and E_1 = E_0: one ground state, and a mode of rate about 4^-p beside it."""
    return table_of(p, [[(k, k), (0, k + 1)] for k in range(1, p - 1)] + [[(0, 0), (0, 1)]])


@st.composite
def small_cases(draw):
    kind = draw(st.sampled_from((addition, modular_addition)))
    table = kind(draw(st.integers(3, 5 if kind is addition else 4)))
    return table, torch.tensor(draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table))))


@given(small_cases())
@settings(max_examples=25, deadline=None)
def test_both_ways_of_solving_agree_with_sympy(case):
    table, mask = case
    n0, inferable = exact(table, mask)
    states = ground_states(table, mask)
    solved_n0, solved_inferable = _by_substitution(table, mask[None])
    assert states.n0 == solved_n0 == n0
    assert states.inferable.tolist() == solved_inferable[0].tolist() == inferable
    assert int((states.eigenvalues == 0).sum()) == n0


@pytest.mark.parametrize("size", [12, 20, 28])
def test_random_splits_of_the_papers_size(size):
    table = addition(8)
    order = torch.from_numpy(np.random.RandomState(size).permutation(len(table)))
    mask = torch.zeros(len(table), dtype=torch.bool).index_fill_(0, order[:size], True)
    n0, inferable = exact(table, mask)
    states = ground_states(table, order[:size])
    assert (int(states.n0), states.inferable.tolist()) == (n0, inferable)
    assert ideal_accuracy(table, mask) == sum(inferable) / len(table)


def sums_in(*results):
    return lambda a, b: torch.isin(a + b, torch.tensor(results))


@pytest.mark.parametrize(
    "keep",
    [
        sums_in(),  # no sample
        sums_in(9),  # one class only
        lambda a, b: (a < 5) & (b < 5),  # half of the symbols never occur
        lambda a, b: (a < 5) == (b < 5),  # two blocks
        lambda a, b: a == b,  # no class has two samples
        lambda a, b: (a == 0) | (b - a <= 1),  # a chain
        lambda a, b: (a + b) % 2 == 0,  # even and odd symbols apart
    ],
)
def test_adversarial_splits(keep):
    table = addition(10)
    mask = keep(table.a, table.b)
    rows = [
        equation(table, s, t) for s, t in combinations(mask.nonzero()[:, 0].tolist(), 2) if table.c[s] == table.c[t]
    ]
    n0 = table.p - rank(rows)
    assert ground_states(table, mask).n0 == _by_substitution(table, mask[None])[0] == n0
    assert ground_states(table, mask).inferable[mask].all()


@pytest.mark.parametrize("p", [8, 20, 40])
def test_a_rate_below_rounding_is_not_taken_for_zero(p):
    table = doubling(p)
    rows = [equation(table, s, s + 1) for s in range(0, len(table), 2)]
    assert rank(rows) == p - 1
    assert ground_states(table).n0 == full_nullity(table) == 1
    if p == 40:
        singular = np.linalg.svd(np.array(rows, dtype=float), compute_uv=False)
        assert singular[-1] < 1e-11 * singular[0]


def test_nullities_of_whole_tables():
    for p in (2, 3, 10, 30):
        assert full_nullity(addition(p)) == 2
        assert full_nullity(modular_addition(p)) == 1
    assert rank_bound(addition(10)) == 8
    assert rank_bound(modular_addition(10)) == 9


def test_a_batch_is_its_sets_one_by_one():
    table = addition(30)  # large enough for all three arguments to be needed
    shares = torch.linspace(0.02, 0.9, 12)[:, None]
    masks = torch.rand(12, len(table), generator=torch.Generator().manual_seed(1)) < shares
    batch = ground_states(table, masks)
    for k in range(12):
        one = ground_states(table, masks[k])
        assert one.n0 == batch.n0[k]
        assert torch.equal(one.inferable, batch.inferable[k])
    assert torch.equal(_by_substitution(table, masks)[1], batch.inferable)
