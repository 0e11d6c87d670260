"""Quartiles with infinite and missing values, against NumPy and against very large numbers for infinity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.metrics.quartiles import quartiles

LARGE = 1e9
"""Stands for never."""


@given(st.lists(st.lists(st.integers(0, 100) | st.just(np.nan), min_size=3, max_size=3), min_size=1, max_size=7))
def test_finite_and_missing_values_as_by_numpy(rows):
    values = np.array(rows, dtype=float)
    expected = [
        np.quantile(column[~np.isnan(column)], (0.25, 0.5, 0.75)) if not np.isnan(column).all() else [np.nan] * 3
        for column in values.T
    ]
    np.testing.assert_allclose(quartiles(values), np.transpose(expected))


@given(st.lists(st.integers(0, 100) | st.just(np.inf), min_size=1, max_size=9))
def test_infinite_values_are_longer_than_all_others(numbers):
    values = np.array(numbers, dtype=float)
    large = np.quantile(np.minimum(values, LARGE), (0.25, 0.5, 0.75))
    np.testing.assert_allclose(quartiles(values), np.where(large > 1000, np.inf, large))


@pytest.mark.parametrize("values", [[np.inf] * 3, [np.inf]])
def test_all_infinite(values):
    assert quartiles(np.array(values)).tolist() == [np.inf] * 3
