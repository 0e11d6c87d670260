"""The standing of a tournament's contender: tuned on some seeds, evaluated on the others."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grokking_pl.metrics.median_interval import MedianInterval, median_interval


@dataclass(frozen=True)
class Standing:
    """A contender's result at its best cell.

    Args:
        cell: index of the cell, chosen on the tuning seeds.
        tuning_median: median steps in that cell over the tuning seeds.
        steps: median steps over the other seeds, with an interval.
        reached: number of other seeds that reached the threshold.
        seeds: number of other seeds.
        cells_reached: fraction of all cells in which at least half of all seeds reached it.
    """

    cell: int
    tuning_median: float
    steps: MedianInterval
    reached: int
    seeds: int
    cells_reached: float


def standing(steps: Float[np.ndarray, "cells seeds"]) -> Standing:
    """Choose a contender's best cell on the first half of the seeds, and evaluate it on the second.

    The least of many medians is biased towards small values, the more so with more cells and more scatter; over seeds
    not used in the choice it is not. With a single seed both halves are the same.

    Args:
        steps: steps to the threshold, by cell and seed; infinite for never.
    """
    seeds = steps.shape[1]
    half = seeds // 2
    tuning, others = (steps[:, :half], steps[:, half:]) if half else (steps, steps)
    medians = np.median(tuning, axis=1)
    # Among cells with equal median: the one that fails least often, then the quickest.
    order = np.lexsort((tuning.min(axis=1), np.isinf(tuning).sum(axis=1), medians))
    best = int(order[0])
    judged = others[best]
    return Standing(
        best,
        float(medians[best]),
        median_interval(judged.tolist()),
        int(np.isfinite(judged).sum()),
        len(judged),
        float((np.isfinite(steps).mean(axis=1) >= 0.5).mean()),
    )
