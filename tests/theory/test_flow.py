"""Closed-form trajectories against a numerical integrator, and their conserved quantities."""

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.metrics.parallelograms import count_parallelograms, gram_matrix
from grokking_pl.tasks import addition, modular_addition
from grokking_pl.theory import (
    conserved_quantities,
    effective_loss,
    linear_flow,
    normalised,
    normalised_flow,
    random_training_sets,
)


def start(p, d=1, seed=0):
    return torch.randn(p, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def force(table, train, z0=None):
    """-dl0/dE / Z0 with Z0 fixed, or -d(l0/Z0)/dE."""
    g = gram_matrix(table, train) / count_parallelograms(table, train).clamp(min=1)

    def linear(e):
        return -2 / z0 * (g @ e)

    def rayleigh(e):
        z = e.square().sum()
        return -2 / z * (g @ e - (e * (g @ e)).sum() / z * e)

    return rayleigh if z0 is None else linear


def runge_kutta(derivative, e, time, steps):
    h = time / steps
    for _ in range(steps):
        k1 = derivative(e)
        k2 = derivative(e + h / 2 * k1)
        k3 = derivative(e + h / 2 * k2)
        k4 = derivative(e + h * k3)
        e = e + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return e


CASES = [
    (addition(10), 45, 1),
    (addition(10), 15, 1),
    (addition(6), 12, 3),
    (modular_addition(7), 30, 2),
]


@pytest.mark.parametrize(("table", "size", "d"), CASES)
def test_both_flows_agree_with_a_numerical_integrator(table, size, d):
    train = random_training_sets(table, size, 1, seed=4)[0]
    initial = start(table.p, d)
    times = torch.tensor([0.0, 2.0, 20.0], dtype=torch.float64)
    z0 = float(initial.square().sum())
    for flow, derivative in ((linear_flow, force(table, train, z0)), (normalised_flow, force(table, train))):
        path = flow(initial, table, train, times)
        assert path.shape == (3, table.p, d)
        torch.testing.assert_close(path[0], initial, atol=1e-12, rtol=0)
        for time, e in zip(times[1:], path[1:], strict=True):
            torch.testing.assert_close(e, runge_kutta(derivative, initial, float(time), 300), atol=1e-8, rtol=0)


@pytest.mark.parametrize(("table", "size", "d"), CASES)
def test_what_is_conserved(table, size, d):
    train = random_training_sets(table, size, 1, seed=5)[0]
    times = torch.logspace(-2, 5, 50, dtype=torch.float64)
    initial = normalised(start(table.p, d))
    c, z0 = conserved_quantities(normalised_flow(initial, table, train, times))
    torch.testing.assert_close(c, torch.zeros_like(c), atol=1e-10, rtol=0)
    torch.testing.assert_close(z0, torch.full_like(z0, table.p), atol=1e-10, rtol=0)

    initial = start(table.p, d) + 1
    c, z0 = conserved_quantities(linear_flow(initial, table, train, times))
    torch.testing.assert_close(c, initial.sum(dim=0).expand_as(c), atol=1e-10, rtol=0)
    assert (z0.diff() <= 1e-12).all()
    _, z0 = conserved_quantities(normalised_flow(initial, table, train, times))
    torch.testing.assert_close(z0, initial.square().sum().expand_as(z0), atol=1e-10, rtol=0)


def test_a_unique_structure_is_reached_and_the_loss_only_falls():
    table = addition(10)
    train = random_training_sets(table, 45, 1, seed=0)[0]
    path = normalised_flow(normalised(start(10)), table, train, torch.logspace(0, 4, 30))
    loss = effective_loss(path, table, train)
    assert (loss.diff() <= 1e-15).all()
    assert loss[-1] < 1e-12
    torch.testing.assert_close(path[-1].diff(n=2, dim=0), torch.zeros(8, 1, dtype=torch.float64), atol=1e-8, rtol=0)


def test_without_parallelograms_nothing_moves():
    table = addition(5)
    initial = start(5, 2)
    path = normalised_flow(initial, table, torch.tensor([], dtype=torch.long), torch.tensor([0.0, 1e6]))
    torch.testing.assert_close(path, initial.expand_as(path))


def test_very_late_times_do_not_underflow():
    table = modular_addition(5)  # its centred embeddings have no zero mode: the linear flow goes to zero
    path = normalised_flow(normalised(start(5)), table, None, torch.tensor([1e9]))
    torch.testing.assert_close(path.square().sum(), torch.tensor(5.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("initial", "times", "message"),
    [
        (torch.zeros(5, 1), [1.0], "all zero"),
        (torch.ones(4, 1), [1.0], r"expected \(5, d\)"),
        (torch.ones(5, 1), [-1.0], "times >= 0"),
    ],
)
def test_impossible_starts_are_refused(initial, times, message):
    with pytest.raises(UserError, match=message):
        linear_flow(initial, addition(5), None, torch.tensor(times))


def test_equal_embeddings_cannot_be_normalised():
    with pytest.raises(UserError, match="all equal"):
        normalised(torch.ones(5, 2))
