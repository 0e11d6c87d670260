"""The median of a few values, possibly infinite, with a distribution-free interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from grokking_pl.errors import UserError


@dataclass(frozen=True)
class MedianInterval:
    """A median with a confidence interval.

    Args:
        median: median of the sample; infinite if at least half of the values are.
        low: lower end of the interval.
        high: upper end.
        confidence: probability that the interval contains the distribution's median.
    """

    median: float
    low: float
    high: float
    confidence: float


def median_interval(values: Sequence[float], confidence: float = 0.95) -> MedianInterval:
    """The median of a sample, with an interval between two of its values.

    The k-th smallest and k-th largest of n values enclose the distribution's median with probability 1 - 2 P(B < k),
    where B is binomial with n draws of probability 1/2; k is the largest that reaches the confidence. Fewer than six
    values cannot reach 0.95: the interval is then from the smallest to the largest, with lower confidence. Steps to an
    accuracy that was never reached are infinite.

    Source: the sign test's interval (for example Conover, "Practical Nonparametric Statistics", section 3.2).

    Args:
        values: at least one value.
        confidence: confidence to reach, if possible.

    Raises:
        UserError: there is no value, or one is nan.

    >>> median_interval([3, 1, 2, 5, math.inf, 4])
    MedianInterval(median=3.5, low=1, high=inf, confidence=0.96875)
    """
    if not values or any(math.isnan(value) for value in values):
        raise UserError(f"{list(values)} has no median: give at least one number, infinity for never")
    ordered, n = sorted(values), len(values)
    rank, reached = 1, 1 - 2 ** (1 - n)
    while 2 * (rank + 1) <= n:
        next_reached = 1 - 2 * sum(math.comb(n, k) for k in range(rank + 1)) / 2**n
        if next_reached < confidence:
            break
        rank, reached = rank + 1, next_reached
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return MedianInterval(middle, ordered[rank - 1], ordered[n - rank], reached)
