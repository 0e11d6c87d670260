"""Quartiles of samples with infinite values (thresholds never reached) and missing ones."""

import numpy as np
from jaxtyping import Float


def quartiles(values: Float[np.ndarray, "runs ..."]) -> Float[np.ndarray, "3 ..."]:
    """Lower quartile, median and upper quartile over the runs, interpolated linearly as by ``numpy.quantile``.

    Between a finite and an infinite value a quartile is infinite. Missing values (nan) are left out.

    Args:
        values: one value per run, at each place; infinite for never.

    Returns:
        The three quartiles; nan where all values are missing.

    >>> quartiles(np.array([5.0, np.inf, 7.0])).tolist(), quartiles(np.array([1.0, 2.0, 3.0, np.nan])).tolist()
    ([6.0, 7.0, inf], [1.5, 2.0, 2.5])
    """
    ordered = np.sort(values, axis=0)
    last = np.maximum((~np.isnan(values)).sum(0) - 1, 0)
    found = []
    for q in (0.25, 0.5, 0.75):
        place = q * last
        below, above = (
            np.take_along_axis(ordered, np.asarray(rounded(place), dtype=int)[None], axis=0)[0]
            for rounded in (np.floor, np.ceil)
        )
        # Equal values may be infinite, and 0 times infinity is nan.
        with np.errstate(invalid="ignore"):
            between = (1 - place % 1) * below + place % 1 * above
        found.append(np.where((below == above) | (place % 1 == 0), below, between))
    return np.array(found)
