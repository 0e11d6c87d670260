"""When accuracies pass their thresholds, for many runs at once (table 1 of the paper)."""

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
    """What decides the phase of a run; the meaning is that of the callback ``PhaseTracker``.

    Args:
        every_n_steps: steps between evaluations. Thresholds are passed at multiples of it.
        train_threshold: accuracy on the training set that counts as memorised.
        val_threshold: accuracy on the validation set that counts as generalised.
        window: steps for which an accuracy must stay at its threshold or above; 0 accepts the first crossing.
        delay: from this many steps between the two crossings on, the run grokked.
        further_thresholds: further accuracies, ascending, whose first steps on both sets are wanted too. They change no
            phase, but a run is not decided before it has reached them.

    Raises:
        UserError: a value is out of its range.
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
        """The least numbers of correct samples that pass each threshold, in the order of a run's crossings.

        Args:
            sizes: number of training and of validation samples.
        """
        pairs = [(self.train_threshold, self.val_threshold), *((each, each) for each in self.further_thresholds or ())]
        return [least_correct(*limits) for pair in pairs for limits in zip(pair, sizes, strict=True)]


def check_criteria(prefix: str, **values: Any) -> None:
    """Raise a `UserError`, whose message begins with the prefix, if one of the criteria is out of its range."""
    for name, least in (("every_n_steps", 1), ("window", 0), ("delay", 0), ("budget", 1)):
        if values.get(name, least) < least:
            raise UserError(f"{prefix}{name} is {values[name]}; it must be at least {least}")
    for name in ("train_threshold", "val_threshold"):
        if not 0 < values[name] <= 1:
            raise UserError(f"{prefix}{name} is {values[name]}; it must be above 0 and at most 1")
    further = values.get("further_thresholds")
    # Comparisons that nan fails, wherever it is.
    if further is not None and not (further and further[-1] <= 1 and all(a < b for a, b in pairwise([0, *further]))):
        raise UserError(
            f"{prefix}further_thresholds is {further}; give accuracies above 0 and at most 1, in ascending order, or "
            "leave it out"
        )


def further_columns(thresholds: Sequence[float] | None) -> list[str]:
    """What the steps to further thresholds are called in tables and summaries.

    >>> further_columns([0.6, 1])
    ['steps_to_train_0.6', 'steps_to_val_0.6', 'steps_to_train_1', 'steps_to_val_1']
    """
    texts = [repr(float(threshold)).removesuffix(".0") for threshold in thresholds or ()]
    return [f"steps_to_{which}_{text}" for text in texts for which in ("train", "val")]


def least_correct(threshold: float, samples: int) -> int:
    """The least number of correct samples whose fraction is at the threshold or above, as floats compare.

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
    """Take in one evaluation, in place; nothing changes for members that are decided.

    The crossings are those of the training and the validation accuracy, then both for each further threshold.

    Args:
        correct: number of correct training and validation samples.
        needed: from which number on each threshold is passed.
        step: updates made.
        since: first step of the present stay above the threshold; -1 outside.
        reached: step at which the threshold was passed; -1 for not yet.
        final: the last numbers of correct samples before the phase was decided.
        evaluated: members that are evaluated at this step at all.
        budget: steps within which the thresholds must be reached.
        window: steps for which an accuracy must stay above.
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
    """Whether no further training can change the outcome: all thresholds are passed, or the budget is spent."""
    return (reached != NEVER).all(1) | (step > budget)


class Crossings:
    """The crossings of one run: `track_crossings` with one member, called only where it can change anything.

    Args:
        criteria: thresholds and window.
        budget: steps within which the thresholds must be reached.
        sizes: number of training and of validation samples.

    Attributes:
        steps: step at which each accuracy passed its threshold; None for not yet.
        further: the same for the further thresholds, training before validation.
        decided: whether no further training can change the steps.
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
        self._stays = False  # whether an accuracy that has not passed yet was at its threshold

    def update(self, step: int, correct: tuple[int, int]) -> None:
        """Take in an evaluation.

        Args:
            step: updates made; more than at the evaluation before.
            correct: number of correct training and validation samples.
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
