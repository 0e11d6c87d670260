r"""Estimate of remaining steps, from finished and running runs.

A run ends early, when its phase is decided, or at its budget of $B$ steps. Of all runs that reached step $k$, the
fraction $h_k$ ended there (Kaplan and Meier, 1958). Beyond the last step reached by any run nothing is known, and runs
are assumed to end at the budget. A run that has made $s$ steps is then expected to make $r_s$ more:

$$r_B = 0, \qquad r_s = 1 + (1 - h_{s+1})\, r_{s+1}$$

So the first estimate is the full budget for every run, and it falls as runs end early.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

MOST_BINS = 1000
"""Most bins, of equal width, in which steps up to the budget are counted."""


class Lengths:
    """The distribution of run lengths.

    Args:
        budget: steps of a run that does not end early.

    >>> lengths = Lengths(4)
    >>> lengths.add(2)
    >>> left, whole = lengths.steps_left([2, 2, 3])
    >>> left.tolist(), whole
    ([2.0, 2.0, 1.0], 3.5)
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._width = -(-budget // MOST_BINS)
        bins = -(-budget // self._width)
        self._ended: Int[np.ndarray, " bins_and_budget"] = np.zeros(bins + 1, dtype=int)

    def add(self, steps: int) -> None:
        """Add a run that ended."""
        self._ended[-1 if steps >= self._budget else max(0, steps - 1) // self._width] += 1

    def steps_left(self, running: Sequence[int]) -> tuple[Float[np.ndarray, " running"], float]:
        """The expected remaining steps of each running run, and of a run that has not started.

        Args:
            running: steps made by the running runs.
        """
        made = np.minimum(np.array(running, dtype=int), self._budget)
        last = len(self._ended) - 1
        bins = np.where(made < self._budget, made // self._width, last)
        # Runs that reached a bin's end: those that ended there or later, and those still running beyond.
        beyond = np.bincount(bins, minlength=last + 1)
        reached = self._ended[::-1].cumsum()[::-1][:-1] + beyond[::-1].cumsum()[::-1][1:]
        stay = 1 - self._ended[:-1] / np.maximum(reached, 1)
        # For a run that has not started: the probability to reach a bin.
        survival = np.concatenate([[1.0], stay.cumprod()])
        widths = np.diff(np.minimum(np.arange(last + 1) * self._width, self._budget), append=self._budget)
        steps = (survival * widths)[::-1].cumsum()[::-1]
        return steps[bins] / survival[bins] - np.where(bins < last, made - bins * self._width, 0), float(steps[0])
