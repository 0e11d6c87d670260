"""Every formula of the theory against explicit parallelograms, on random and on adversarial training sets."""

from itertools import combinations
from math import isclose

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from grokking_pl.tasks import addition, modular_addition
from grokking_pl.theory import (
    conserved_quantities,
    effective_loss,
    ground_state_basis,
    hessian,
    is_unique,
    linear_flow,
    normalised,
    normalised_flow,
    predict,
)

FULL_NULLITY = {addition: 2, modular_addition: 1}
ADVERSARIAL = {
    "no sample": lambda a, b: torch.zeros_like(a, dtype=torch.bool),
    "no class has two samples": lambda a, b: a == b,
    "one class only": lambda a, b: a + b == 7,
    "two blocks": lambda a, b: (a < 4) == (b < 4),
    "half of the symbols never occur": lambda a, b: (a < 4) & (b < 4),
    "even and odd apart": lambda a, b: (a + b) % 2 == 0,
    "a chain": lambda a, b: (b - a).abs() <= 1,
    "all but one class": lambda a, b: a + b != 7,
    "everything": lambda a, b: torch.ones_like(a, dtype=torch.bool),
}


def equations(table, mask):
    """One row a parallelogram of P0(D)."""
    train = mask.nonzero()[:, 0].tolist()
    pairs = [(s, t) for s, t in combinations(train, 2) if table.c[s] == table.c[t]]
    rows = torch.zeros(len(pairs), table.p, dtype=torch.long)
    for row, (s, t) in zip(rows, pairs, strict=True):
        for symbol in (table.a[s], table.b[s]):
            row[symbol] += 1
        for symbol in (table.a[t], table.b[t]):
            row[symbol] -= 1
    return rows


def exact_rank(rows):
    return DomainMatrix.from_list(rows.tolist(), QQ).rank() if len(rows) else 0


@st.composite
def cases(draw):
    kind = draw(st.sampled_from((addition, modular_addition)))
    table = kind(draw(st.integers(3, 8)))
    return kind, table, torch.tensor(draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table))))


def check(kind, table, mask, seed, d):
    rows = equations(table, mask)
    number, p = len(rows), table.p
    rank = exact_rank(rows)
    prediction = predict(table, mask)
    assert (prediction.parallelograms, prediction.n0) == (number, p - rank)
    assert prediction.full_nullity == FULL_NULLITY[kind]
    assert prediction.unique == bool(is_unique(table, mask)) == (p - rank == FULL_NULLITY[kind])

    matrix = rows.double()
    explicit = 2 / (p * max(number, 1)) * matrix.T @ matrix
    torch.testing.assert_close(hessian(table, mask), explicit, atol=1e-14, rtol=1e-14)
    eigenvalues = torch.linalg.eigvalsh(explicit)
    torch.testing.assert_close(prediction.spectrum, eigenvalues, atol=1e-13, rtol=0)
    expected_rate = float(eigenvalues[FULL_NULLITY[kind]]) if prediction.unique else 0.0
    assert isclose(prediction.lambda_3, expected_rate, rel_tol=1e-9, abs_tol=1e-15)

    basis = ground_state_basis(table, mask)
    assert basis.shape == (p, p - rank)
    torch.testing.assert_close(basis.T @ basis, torch.eye(p - rank, dtype=torch.float64))
    torch.testing.assert_close(matrix @ basis, torch.zeros(number, p - rank, dtype=torch.float64), atol=1e-10, rtol=0)

    start = torch.randn(p, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    z0 = start.square().sum()
    loss = (matrix @ start).square().sum() / max(number, 1) / z0
    torch.testing.assert_close(effective_loss(start, table, mask), loss)

    times = torch.tensor([0.0, 0.7, 5.0, 40.0], dtype=torch.float64)
    path = linear_flow(start, table, mask, times)
    decay = torch.stack([torch.linalg.matrix_exp(-time * explicit * p / z0) for time in times])
    torch.testing.assert_close(path, decay @ start, atol=1e-8, rtol=0)
    c, _ = conserved_quantities(path)
    torch.testing.assert_close(c, start.sum(dim=0).expand_as(c), atol=1e-10, rtol=0)

    # Later, what rounding leaves of the constant mode outlives all others in the explicit exponential.
    times = torch.tensor([0.0, 0.7, 3.0], dtype=torch.float64)
    unit = normalised(start)
    path = normalised_flow(unit, table, mask, times)
    moved = torch.stack([torch.linalg.matrix_exp(-time * explicit) for time in times]) @ unit
    size = moved.square().sum(dim=(1, 2), keepdim=True).sqrt()
    torch.testing.assert_close(path, p**0.5 * moved / size, atol=1e-8, rtol=0)
    c, z = conserved_quantities(path)
    torch.testing.assert_close(c, torch.zeros_like(c), atol=1e-10, rtol=0)
    torch.testing.assert_close(z, torch.full_like(z, p), atol=1e-10, rtol=0)


@given(cases(), st.integers(0, 1000), st.integers(1, 3))
@example((addition, addition(3), torch.zeros(6, dtype=torch.bool)), 0, 1)
@settings(max_examples=25, deadline=None)
def test_random_training_sets(case, seed, d):
    check(*case, seed, d)


@pytest.mark.parametrize("keep", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
@pytest.mark.parametrize("kind", [addition, modular_addition])
def test_adversarial_training_sets(kind, keep):
    table = kind(8)
    check(kind, table, keep(table.a, table.b), seed=3, d=2)
