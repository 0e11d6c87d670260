r"""How many steps runs will still make, from those that have ended and those that are in training.

A run ends early, where its phase is decided, or at its budget of $B$ steps. Of all runs that came as far as step $k$,
the share $h_k$ ended there (Kaplan and Meier, 1958); beyond the last step that any run has reached, nothing is known,
and none is taken to end before the budget. A run that has made $s$ steps is then expected to make $r_s$ more:

$$r_B = 0, \qquad r_s = 1 + (1 - h_{s+1})\, r_{s+1}$$

So the first estimate is the whole budget for every run, and it falls as runs end early.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

MOST_BINS = 1000
"""Steps are counted in bins of equal width, at most so many up to the budget."""


class Lengths:
    """How many runs ended after how many steps.

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
        """Take in a run that ended."""
        self._ended[-1 if steps >= self._budget else max(0, steps - 1) // self._width] += 1

    def steps_left(self, running: Sequence[int]) -> tuple[Float[np.ndarray, " running"], float]:
        """How many steps each run in training is expected to make still, and how many one that has not begun.

        Args:
            running: steps that the runs in training have made.
        """
        made = np.minimum(np.array(running, dtype=int), self._budget)
        last = len(self._ended) - 1
        bins = np.where(made < self._budget, made // self._width, last)
        # Runs that came as far as a bin's end without ending before: those that ended there or later, and those beyond.
        beyond = np.bincount(bins, minlength=last + 1)
        reached = self._ended[::-1].cumsum()[::-1][:-1] + beyond[::-1].cumsum()[::-1][1:]
        stay = 1 - self._ended[:-1] / np.maximum(reached, 1)
        # Of a run that has not begun: the probability to come as far as a bin, and its steps from there on.
        survival = np.concatenate([[1.0], stay.cumprod()])
        widths = np.diff(np.minimum(np.arange(last + 1) * self._width, self._budget), append=self._budget)
        steps = (survival * widths)[::-1].cumsum()[::-1]
        return steps[bins] / survival[bins] - np.where(bins < last, made - bins * self._width, 0), float(steps[0])
