"""The median of a few values, of which some may be infinite, with an interval that assumes no distribution."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from grokking_pl.errors import UserError


@dataclass(frozen=True)
class MedianInterval:
    """A median and how well it is known.

    Args:
        median: of the sample; infinite if half of the values or more are.
        low: lower end of the interval.
        high: upper end.
        confidence: with which the interval holds the median of the distribution.
    """

    median: float
    low: float
    high: float
    confidence: float


def median_interval(values: Sequence[float], confidence: float = 0.95) -> MedianInterval:
    """The median of a sample, between two of its values.

    The k-th smallest and the k-th largest of n values enclose the distribution's median with probability
    1 - 2 P(B < k), where B is binomial, n draws of probability 1/2; k is the largest that reaches the confidence. With
    fewer than six values none reaches 0.95: then these are the smallest and the largest, and their confidence is less.
    Steps until an accuracy is reached are infinite where it never was.

    Source: the sign test's interval (for example Conover, "Practical Nonparametric Statistics", section 3.2).

    Args:
        values: at least one.
        confidence: to be reached, if possible.

    Raises:
        UserError: there is no value, or one is no number.

    >>> median_interval([3, 1, 2, 5, math.inf, 4])
    MedianInterval(median=3.5, low=1, high=inf, confidence=0.96875)
    """
    if not values or any(math.isnan(value) for value in values):
        raise UserError(f"there is no median of {list(values)}: give at least one number, infinity for never")
    ordered, n = sorted(values), len(values)
    rank, reached = 1, 1 - 2 ** (1 - n)
    while 2 * (rank + 1) <= n:
        next_reached = 1 - 2 * sum(math.comb(n, k) for k in range(rank + 1)) / 2**n
        if next_reached < confidence:
            break
        rank, reached = rank + 1, next_reached
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return MedianInterval(middle, ordered[rank - 1], ordered[n - rank], reached)
