"""Loss, Hessian and rates against explicit sums over parallelograms."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.tasks import addition, modular_addition, modular_subtraction
from grokking_pl.theory import (
    effective_loss,
    grokking_rate,
    grokking_steps,
    grokking_time,
    ground_state_basis,
    hessian,
    is_faithful,
    is_unique,
    nullity,
    random_training_sets,
    spectrum,
)


def explicit_loss(embeddings, table, mask):
    """Equation (5), term by term."""
    pairs = [(s, t) for s, t in combinations(mask.nonzero()[:, 0].tolist(), 2) if table.c[s] == table.c[t]]
    combined = embeddings[table.a] + embeddings[table.b]
    total = sum((combined[s] - combined[t]).square().sum() for s, t in pairs)
    return total / max(len(pairs), 1) / embeddings.square().sum()


@st.composite
def addition_sets(draw):
    table = addition(draw(st.integers(3, 8)))
    return table, torch.tensor(draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table))))


@given(addition_sets(), st.integers(0, 100), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_loss_hessian_and_ground_states_agree_with_explicit_parallelograms(case, seed, dimension):
    table, mask = case
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(table.p, dimension, dtype=torch.float64, generator=generator)
    loss = explicit_loss(embeddings, table, mask)
    torch.testing.assert_close(effective_loss(embeddings, table, mask), torch.as_tensor(loss, dtype=torch.float64))

    z0 = float(embeddings.square().sum())
    h = hessian(table, mask, z0)
    torch.testing.assert_close(
        0.5 * torch.einsum("kd,kl,ld->", embeddings, h, embeddings), effective_loss(embeddings, table, mask)
    )
    values = spectrum(table, mask, z0)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(h), atol=1e-12, rtol=1e-9)
    assert (values[: nullity(table, mask)] == 0).all()
    assert (values[nullity(table, mask) :] > 0).all()

    basis = ground_state_basis(table, mask)
    assert basis.shape == (table.p, nullity(table, mask))
    assert effective_loss(basis, table, mask) < 1e-12
    assert bool(is_unique(table, mask)) == (basis.shape[1] == 2)
    assert (float(grokking_rate(table, mask, z0)) > 0) == bool(is_unique(table, mask))


def test_the_linear_structure_is_the_ground_state_of_addition():
    table = addition(10)
    basis = ground_state_basis(table)
    line = 3.0 + 2.0 * torch.arange(10, dtype=torch.float64)
    torch.testing.assert_close(basis @ (basis.T @ line), line)
    assert is_faithful(table)


def test_in_a_group_the_ground_state_is_collapsed():
    table = modular_addition(9)
    basis = ground_state_basis(table)
    torch.testing.assert_close(basis.abs(), torch.full((9, 1), 1 / 3, dtype=torch.float64))
    assert not is_faithful(table)
    values = spectrum(table)
    assert grokking_rate(table) == values[1] > 0


def test_a_training_set_without_parallelograms_has_rate_zero():
    table = addition(6)
    empty = torch.tensor([], dtype=torch.long)
    assert nullity(table, empty) == 6
    assert not spectrum(table, empty).any()
    assert not hessian(table, empty).any()
    assert grokking_rate(table, empty) == 0
    assert grokking_steps(grokking_rate(table, empty), 1e-3) == torch.inf
    assert effective_loss(torch.randn(6, 2), table, empty) == 0


def test_rates_of_a_batch_are_those_of_its_sets():
    table = addition(10)
    masks = random_training_sets(table, 30, 20, seed=0)
    rates = grokking_rate(table, masks)
    for k in range(20):
        torch.testing.assert_close(rates[k], grokking_rate(table, masks[k]))
    torch.testing.assert_close(grokking_steps(rates, 0.01), 100 * grokking_time(rates))


def test_operations_that_do_not_commute_are_refused():
    with pytest.raises(UserError, match="does not commute"):
        grokking_rate(modular_subtraction(5))


def test_a_learning_rate_that_is_not_positive_is_refused():
    with pytest.raises(UserError, match="learning_rate is 0"):
        grokking_steps(torch.tensor(0.1), 0)
