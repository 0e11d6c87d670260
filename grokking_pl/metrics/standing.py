"""How a contender of a tournament does: tuned on some seeds, judged on the others."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grokking_pl.metrics.median_interval import MedianInterval, median_interval


@dataclass(frozen=True)
class Standing:
    """A contender at its best cell.

    Args:
        cell: the number of the cell, chosen by the tuning seeds.
        tuning_median: the median of the steps in that cell over the tuning seeds.
        steps: the median over the other seeds, with its interval.
        reached: how many of the other seeds reached the threshold.
        seeds: how many others there are.
        cells_reached: in which share of all cells at least half of all seeds reached it.
    """

    cell: int
    tuning_median: float
    steps: MedianInterval
    reached: int
    seeds: int
    cells_reached: float


def standing(steps: Float[np.ndarray, "cells seeds"]) -> Standing:
    """Choose a contender's best cell by the first half of the seeds, and judge it by the second.

    The least of many medians is small by luck alone, the more so the more cells a contender has and the more they
    scatter; over seeds that had no part in the choice it is not. With a single seed both are the same.

    Args:
        steps: until the threshold was reached, by cell and seed; infinite for never.
    """
    seeds = steps.shape[1]
    half = seeds // 2
    tuning, others = (steps[:, :half], steps[:, half:]) if half else (steps, steps)
    medians = np.median(tuning, axis=1)
    # Of cells with the same median, the one that fails least often, and then the quickest.
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
