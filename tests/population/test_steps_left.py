"""The expected number of steps left, against runs followed one by one."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.population.steps_left import MOST_BINS, Lengths


@st.composite
def observations(draw):
    budget = draw(st.integers(1, 12))
    steps = st.integers(0, budget)
    ended = draw(st.lists(st.integers(1, budget), max_size=12))
    return budget, ended, draw(st.lists(steps, max_size=12))


def expected(budget, ended, running, made):
    """Survival from each step to the next, as the share of the runs at risk that did not end there."""
    left, alive = Fraction(0), Fraction(1)
    for step in range(made + 1, budget + 1):
        left += alive
        at_risk = sum(length >= step for length in ended) + sum(age >= step for age in running)
        ends = ended.count(step) if step < budget else 0
        alive *= 1 - Fraction(ends, at_risk) if at_risk else 1
    return float(left)


@given(observations())
def test_equals_runs_followed_one_by_one(observed):
    budget, ended, running = observed
    lengths = Lengths(budget)
    for steps in ended:
        lengths.add(steps)
    left, whole = lengths.steps_left(running)
    assert np.allclose(left, [expected(budget, ended, running, made) for made in running])
    assert np.isclose(whole, expected(budget, ended, running, 0))


@given(st.integers(MOST_BINS, 10**9), st.data())
def test_nothing_is_known_beyond_the_last_step_reached(budget, data):
    made = data.draw(st.integers(0, budget + 1000))
    left, whole = Lengths(budget).steps_left([made])
    assert (left[0], whole) == (max(0, budget - made), budget)


@given(st.integers(2, 10**6), st.data())
def test_bins_are_narrow(budget, data):
    """Of runs that all end at the same step, one that has not begun is expected to end there, within a bin."""
    length = data.draw(st.integers(1, budget))
    lengths = Lengths(budget)
    for _ in range(3):
        lengths.add(length)
    assert 0 <= lengths.steps_left([])[1] - length <= budget / MOST_BINS + 1
