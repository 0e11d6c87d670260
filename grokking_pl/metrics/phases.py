"""The four phases of learning (section 4, table 1 of the paper).

| phase | training passes | validation passes | validation less than ``delay`` steps after training |
|---|---|---|---|
| comprehension | yes | yes | yes |
| grokking | yes | yes | no |
| memorization | yes | no | - |
| confusion | no | - | - |
"""

import math
from enum import Enum

import torch
from jaxtyping import Int, Real
from torch import Tensor

from grokking_pl.errors import UserError


class Phase(str, Enum):
    """The outcome of a run, from the steps at which its two accuracies crossed their thresholds."""

    COMPREHENSION = "comprehension"
    GROKKING = "grokking"
    MEMORIZATION = "memorization"
    CONFUSION = "confusion"

    def __str__(self) -> str:
        return self.value


def classify(steps_to_train: float | None, steps_to_val: float | None, delay: float = 1000) -> Phase:
    """The phase of one run (table 1).

    Args:
        steps_to_train: steps until the training accuracy crossed its threshold; None, nan or infinity for never.
        steps_to_val: steps until the validation accuracy crossed its threshold; None, nan or infinity for never.
        delay: a run grokked if the two are at least this many steps apart.

    Returns:
        The phase. If only the validation accuracy crosses its threshold, it is confusion.

    Raises:
        UserError: a number of steps is negative.

    >>> str(classify(100, 5000)), str(classify(100, None)), str(classify(None, 50))
    ('grokking', 'memorization', 'confusion')
    """
    train, val = (math.nan if steps is None else float(steps) for steps in (steps_to_train, steps_to_val))
    if train < 0 or val < 0:
        raise UserError(_negative(steps_to_train, steps_to_val))
    if not math.isfinite(train):
        return Phase.CONFUSION
    if not math.isfinite(val):
        return Phase.MEMORIZATION
    return Phase.COMPREHENSION if val - train < delay else Phase.GROKKING


def classify_batch(
    steps_to_train: Real[Tensor, "*batch"], steps_to_val: Real[Tensor, "*batch"], delay: float = 1000
) -> Int[Tensor, "*batch"]:
    """The phases of many runs (table 1), as indices into ``tuple(Phase)``.

    Args:
        steps_to_train: steps until the training accuracy crossed its threshold; nan or infinity for never.
        steps_to_val: steps until the validation accuracy crossed its threshold; nan or infinity for never.
        delay: a run grokked if the two are at least this many steps apart.

    Returns:
        0 for comprehension, 1 for grokking, 2 for memorization, 3 for confusion: ``tuple(Phase)[k]`` is the phase.

    Raises:
        UserError: a number of steps is negative.

    >>> phases = classify_batch(torch.tensor([100.0, 100.0]), torch.tensor([5000.0, torch.nan]))
    >>> [str(tuple(Phase)[k]) for k in phases]
    ['grokking', 'memorization']
    """
    if (steps_to_train < 0).any() or (steps_to_val < 0).any():
        raise UserError(_negative(steps_to_train.amin().item(), steps_to_val.amin().item()))
    number = {phase: torch.tensor(k, device=steps_to_train.device) for k, phase in enumerate(Phase)}
    soon = steps_to_val - steps_to_train < delay
    generalises = torch.where(soon, number[Phase.COMPREHENSION], number[Phase.GROKKING])
    memorises = torch.where(steps_to_val.isfinite(), generalises, number[Phase.MEMORIZATION])
    return torch.where(steps_to_train.isfinite(), memorises, number[Phase.CONFUSION])


def _negative(steps_to_train: float | None, steps_to_val: float | None) -> str:
    return f"steps to train {steps_to_train} and to validate {steps_to_val}: none may be negative; give nan for never"
