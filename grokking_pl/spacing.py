"""Whole numbers that are evenly spaced, on a linear or on a logarithmic axis."""

import numpy as np


def evenly_spaced(total: int, count: int) -> list[int]:
    """At most ``count`` numbers from 0 to ``total - 1``, evenly spaced, with both ends.

    >>> evenly_spaced(10, 4)
    [0, 3, 6, 9]
    """
    return sorted({*np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()})


def log_spaced_steps(last: int, count: int, every_n_steps: int = 1) -> list[int]:
    """Step 0 and at most ``count`` multiples of ``every_n_steps`` up to ``last``, evenly spaced on a logarithmic axis.

    >>> log_spaced_steps(1000, 4), log_spaced_steps(1000, 4, 100)
    ([0, 1, 10, 100, 1000], [0, 100, 1000])
    """
    spaced = np.geomspace(1, max(last, 1), count) / every_n_steps
    steps = spaced.round().astype(int) * every_n_steps
    return sorted({0, *steps[steps <= last].tolist()})
