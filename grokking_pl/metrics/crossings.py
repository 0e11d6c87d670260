"""Steps at which accuracies cross their thresholds, for many runs at once (table 1 of the paper)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from grokking_pl.errors import UserError

NEVER = -1


@dataclass(frozen=True)
class PhaseCriteria:
    """Criteria for the phase of a run, as in the callback ``PhaseTracker``.

    Args:
        every_n_steps: steps between evaluations. Thresholds are crossed at multiples of it.
        train_threshold: training accuracy that counts as memorised.
        val_threshold: validation accuracy that counts as generalised.
        window: steps for which an accuracy must stay at or above its threshold; 0 accepts the first crossing.
        delay: a run grokked if the crossings are at least this many steps apart.
        further_thresholds: further accuracies, ascending, whose first steps are recorded for both sets. They do not
            change the phase, but a run is undecided until it has reached them.

    Raises:
        UserError: a value is out of range.
    """

    every_n_steps: int = 1
    train_threshold: float = 0.9
    val_threshold: float = 0.9
    window: int = 0
    delay: int = 1000
    further_thresholds: list[float] | None = None

    def __post_init__(self) -> None:
        check_criteria("phase.", **vars(self))

    def least_correct(self, sizes: tuple[int, int]) -> list[int]:
        """The number of correct samples needed for each threshold, in the order of a run's crossings.

        Args:
            sizes: numbers of training and validation samples.
        """
        pairs = [(self.train_threshold, self.val_threshold), *((each, each) for each in self.further_thresholds or ())]
        return [least_correct(*limits) for pair in pairs for limits in zip(pair, sizes, strict=True)]


def check_criteria(prefix: str, **values: Any) -> None:
    """Raise a `UserError`, prefixed with ``prefix``, if a criterion is out of range."""
    for name, least in (("every_n_steps", 1), ("window", 0), ("delay", 0), ("budget", 1)):
        if values.get(name, least) < least:
            raise UserError(f"{prefix}{name} is {values[name]}; it must be at least {least}")
    for name in ("train_threshold", "val_threshold"):
        if not 0 < values[name] <= 1:
            raise UserError(f"{prefix}{name} is {values[name]}; it must be above 0 and at most 1")
    further = values.get("further_thresholds")
    # These comparisons reject nan in any position.
    if further is not None and not (further and further[-1] <= 1 and all(a < b for a, b in pairwise([0, *further]))):
        raise UserError(
            f"{prefix}further_thresholds is {further}; give accuracies above 0 and at most 1, in ascending order, or "
            "omit it"
        )


STEPS_COLUMN = re.compile(r"steps_to_(train|val)(?:_([\d.e-]+))?")
"""Columns of the steps to a threshold: the accuracy, and for a further threshold its value."""


def further_columns(thresholds: Sequence[float] | None) -> list[str]:
    """Names of the steps to further thresholds in tables and summaries.

    >>> further_columns([0.6, 1])
    ['steps_to_train_0.6', 'steps_to_val_0.6', 'steps_to_train_1', 'steps_to_val_1']
    """
    texts = [repr(float(threshold)).removesuffix(".0") for threshold in thresholds or ()]
    return [f"steps_to_{which}_{text}" for text in texts for which in ("train", "val")]


def least_correct(threshold: float, samples: int) -> int:
    """The least number of correct samples whose fraction, as a float, is at or above the threshold.

    >>> least_correct(0.9, 45), least_correct(0.9, 10)
    (41, 9)
    """
    guess = int(threshold * samples)
    return next(k for k in range(max(0, guess - 1), samples + 2) if k / max(1, samples) >= threshold)


def track_crossings(
    correct: Int[Tensor, "members 2"],
    needed: Int[Tensor, "members crossings"],
    step: Int[Tensor, " members"],
    since: Int[Tensor, "members crossings"],
    reached: Int[Tensor, "members crossings"],
    final: Int[Tensor, "members 2"],
    evaluated: Bool[Tensor, " members"],
    budget: int,
    window: int,
) -> None:
    """Record one evaluation, in place; decided members do not change.

    The crossings are those of training and validation accuracy, then both for each further threshold.

    Args:
        correct: numbers of correct training and validation samples.
        needed: number of correct samples needed for each threshold.
        step: updates made.
        since: first step of the current stay above the threshold; -1 below it.
        reached: step at which the threshold was crossed; -1 for not yet.
        final: last numbers of correct samples before the phase was decided.
        evaluated: mask of the members evaluated at this step.
        budget: steps within which the thresholds must be reached.
        window: steps for which an accuracy must stay above its threshold.
    """
    running = (evaluated & ~decided(reached, step, budget))[:, None]
    now = step[:, None]
    accuracies = correct.repeat(1, needed.shape[1] // 2)
    stay = torch.where(accuracies >= needed, torch.where(since == NEVER, now, since), NEVER)
    passed = (reached == NEVER) & (stay != NEVER) & (now - stay >= window)
    reached.copy_(torch.where(running & passed, stay, reached))
    since.copy_(torch.where(running, stay, since))
    final.copy_(torch.where(running, correct, final))


def decided(
    reached: Int[Tensor, "members crossings"], step: Int[Tensor, " members"], budget: int
) -> Bool[Tensor, " members"]:
    """Whether the outcome is final: all thresholds are crossed, or the budget is spent."""
    return (reached != NEVER).all(1) | (step > budget)


class Crossings:
    """The crossings of one run: `track_crossings` with one member, called only when something can change.

    Args:
        criteria: thresholds and window.
        budget: steps within which the thresholds must be reached.
        sizes: numbers of training and validation samples.

    Attributes:
        steps: step at which each accuracy crossed its threshold; None for not yet.
        further: the same for the further thresholds, training before validation.
        decided: whether the steps are final.
    """

    def __init__(self, criteria: PhaseCriteria, budget: int, sizes: tuple[int, int]) -> None:
        self.steps: tuple[int | None, int | None] = (None, None)
        self._least = criteria.least_correct(sizes)
        self.further: list[int | None] = [None] * (len(self._least) - 2)
        self.decided = False
        self._budget, self._window = budget, criteria.window
        self._needed = torch.tensor([self._least])
        self._since, self._reached = (torch.full_like(self._needed, NEVER) for _ in range(2))
        self._final = torch.full((1, 2), NEVER)
        self._stays = False  # whether an accuracy not yet counted is at its threshold

    def update(self, step: int, correct: tuple[int, int]) -> None:
        """Record an evaluation.

        Args:
            step: updates made; more than at the previous evaluation.
            correct: numbers of correct training and validation samples.
        """
        passes = any(
            passed is None and number >= least
            for passed, number, least in zip((*self.steps, *self.further), cycle(correct), self._least)
        )
        if self.decided or not (passes or self._stays or step >= self._budget):
            return
        now = torch.tensor([step])
        track_crossings(
            torch.tensor([correct]), self._needed, now, self._since, self._reached, self._final,
            torch.tensor([True]), self._budget, self._window,
        )  # fmt: skip
        train, val, *self.further = (None if reached == NEVER else reached for reached in self._reached[0].tolist())
        self.steps = (train, val)
        self._stays = bool(((self._reached == NEVER) & (self._since != NEVER)).any())
        self.decided = bool(decided(self._reached, now + 1, self._budget))
