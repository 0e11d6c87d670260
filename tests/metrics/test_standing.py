import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics.median_interval import median_interval
from grokking_pl.metrics.standing import standing


@given(n=st.integers(1, 8), confidence=st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_interval_holds_the_median_as_often_as_it_says(n, confidence):
    """Each value is below or above the true median, 0, by a coin; all 2^n cases are counted."""
    holds, confidences = 0, set()
    for signs in product([-1, 1], repeat=n):
        values = [sign * (k + 1) for k, sign in enumerate(signs)]
        interval = median_interval(values, confidence)
        holds += interval.low <= 0 <= interval.high
        confidences.add(interval.confidence)
    assert len(confidences) == 1
    assert confidences.pop() == pytest.approx(holds / 2**n)
    assert holds / 2**n >= confidence or (interval.low, interval.high) == (min(values), max(values))


@given(st.lists(st.floats(1, 1e6) | st.just(math.inf), min_size=1, max_size=12))
def test_median_is_numpys_and_inside(values):
    interval = median_interval(values)
    assert interval.median == pytest.approx(np.median(values))
    assert interval.low <= interval.median <= interval.high


def test_no_value_has_no_median():
    for values in ([], [1, math.nan]):
        with pytest.raises(UserError, match="no median"):
            median_interval(values)


@given(
    st.integers(1, 5).flatmap(
        lambda seeds: st.lists(
            st.lists(st.integers(1, 50) | st.just(math.inf), min_size=seeds, max_size=seeds), min_size=1, max_size=6
        )
    )
)
def test_the_cell_is_chosen_by_some_seeds_and_judged_by_the_others(cells):
    steps = np.array(cells, dtype=float)
    half = max(1, steps.shape[1] // 2)
    others = steps[:, half:] if steps.shape[1] > 1 else steps
    result = standing(steps)
    medians = [np.median(row[:half]) for row in steps]
    assert result.tuning_median == min(medians) == medians[result.cell]
    assert result.steps.median == np.median(others[result.cell])
    assert (result.seeds, result.reached) == (others.shape[1], np.isfinite(others[result.cell]).sum())
    assert result.cells_reached == pytest.approx(np.mean([2 * np.isfinite(row).sum() >= len(row) for row in steps]))
