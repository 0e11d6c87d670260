"""The probability of a unique structure and the critical fraction, against all training sets and brute force."""

from math import comb

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.tasks import addition, modular_addition, modular_subtraction
from grokking_pl.theory import (
    critical_fraction,
    critical_fraction_by_p,
    critical_sizes,
    is_unique,
    probability_of_unique_structure,
    random_orders,
    random_training_sets,
    sample_rates,
    size_of_fraction,
    spectrum,
    wilson_interval,
)


def test_the_probability_is_that_over_all_training_sets():
    table = addition(4)
    masks = (torch.arange(2**10)[:, None] >> torch.arange(10)) & 1 == 1
    unique, size = is_unique(table, masks), masks.sum(dim=1)
    curve = probability_of_unique_structure(table, trials=4000, seed=1)
    for n in range(1, 11):
        exact = int((unique & (size == n)).sum()) / comb(10, n)
        low, high = wilson_interval((curve.probability[n - 1] * 4000).round().long(), 4000, z=5.0)
        assert low <= exact <= high


@pytest.mark.parametrize("table", [addition(7), modular_addition(6)])
def test_critical_sizes_are_where_prefixes_become_unique(table):
    orders = random_orders(table, 20, seed=3)
    for order, size in zip(orders, critical_sizes(table, 20, seed=3), strict=True):
        assert is_unique(table, order[:size])
        assert not is_unique(table, order[: size - 1])


def test_the_transition_of_the_papers_figure_4a():
    curve = probability_of_unique_structure(addition(10), trials=2000, seed=0)
    assert (curve.probability.diff() >= 0).all()
    assert (curve.low <= curve.probability).all()
    assert (curve.probability <= curve.high).all()
    found = critical_fraction(curve)
    assert found.low < found.r_c < found.high
    assert 0.39 < found.r_c < 0.43
    frame = curve.to_frame()
    assert list(frame) == ["train_count", "train_fraction", "probability", "low", "high"]
    assert len(frame) == 55


def test_the_critical_fraction_falls_towards_the_coupon_collector():
    frame = critical_fraction_by_p([5, 10, 20, 40], trials=100, seed=0)
    assert (frame.r_c.diff().dropna() < 0).all()
    assert (frame.r_c_p_over_log_p.diff().dropna() < 0).all()
    assert (frame.r_c_p_over_log_p > 1).all()


def test_rates_are_those_of_the_training_sets():
    table = addition(8)
    orders = random_orders(table, 15, seed=2)
    rates = sample_rates(table, [0, 10, 20, 36], 15, seed=2)
    for row, size in zip(rates, (0, 10, 20, 36), strict=True):
        for order, rate in zip(orders, row, strict=True):
            torch.testing.assert_close(rate, spectrum(table, order[:size])[2])


def test_the_same_seed_gives_the_same_sets_and_another_seed_others():
    table = addition(6)
    assert torch.equal(random_training_sets(table, 7, 5, seed=1), random_training_sets(table, 7, 5, seed=1))
    assert not torch.equal(random_training_sets(table, 7, 5, seed=1), random_training_sets(table, 7, 5, seed=2))
    assert (random_training_sets(table, 7, 5, seed=1).sum(dim=1) == 7).all()


def test_wilson_intervals():
    # Wilson (1927): 0 and 10 successes of 10 give intervals that end at 0 and 1 and are not points.
    low, high = wilson_interval(torch.tensor([0, 5, 10]), 10)
    torch.testing.assert_close(low, torch.tensor([0.0, 0.2366, 0.7225], dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(high, torch.tensor([0.2775, 0.7634, 1.0], dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: size_of_fraction(addition(5), 1.2), "expected a number from 0 to 1"),
        (lambda: random_training_sets(addition(5), 16, 1, 0), "expected 0 to 15"),
        (lambda: random_orders(addition(5), 0, 0), "trials is 0"),
        (lambda: critical_sizes(modular_subtraction(5), 10), "does not commute"),
        (lambda: critical_fraction_by_p([2]), "expected at least 3"),
    ],
)
def test_what_is_out_of_range_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
