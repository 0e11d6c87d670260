"""Accuracy curves of many runs: a bounded number of points per run, evenly spaced on a logarithmic axis.

They are recorded on the device within the training step, so no step waits for them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

POINTS = 40
"""Most points per curve, besides the first and last."""
MOST_RUNS = 4000
"""Number of runs above which no curves are kept: their table would exceed the rest of the diagram."""
UNSEEN = -1


def curve_slots(steps: Sequence[int], budget: int) -> Int[Tensor, " slots"]:
    """The index of each step's point in a curve; the number of points for other steps.

    >>> curve_slots([0, 1, 3], 3)
    tensor([0, 1, 3, 2, 3])
    """
    slots = torch.full((budget + 2,), len(steps))
    slots[list(steps)] = torch.arange(len(steps))
    return slots


def record_point(
    curve: Int[Tensor, "members points 2"],
    slots: Int[Tensor, " slots"],
    correct: Int[Tensor, "members 2"],
    step: Int[Tensor, " members"],
    running: Bool[Tensor, " members"],
) -> None:
    """Record one evaluation in the curves, in place, for the members whose step is a point.

    Args:
        curve: numbers of correct training and validation samples; other steps are written to the last entry.
        slots: index of each step's point.
        correct: numbers of correct training and validation samples.
        step: updates made.
        running: mask of the members whose evaluation counts.
    """
    slot = torch.where(running, slots[step.clamp(max=len(slots) - 1)], curve.shape[1] - 1)
    curve.scatter_(1, slot[:, None, None].expand(-1, 1, 2), correct[:, None].to(curve.dtype))


def points_of(
    curve: list[list[int]], steps: Sequence[int], sizes: tuple[int, int], last: tuple[int, float, float]
) -> list[tuple[int, float, float]]:
    """The curve of one run as (step, training accuracy, validation accuracy), ending with the last evaluation.

    Args:
        curve: curve of the run, filled by `record_point`.
        steps: the step of each point.
        sizes: numbers of training and validation samples.
        last: last evaluation, at the step where the phase was decided.
    """
    train, val = (max(1, size) for size in sizes)
    seen = [
        (step, train_correct / train, val_correct / val)
        for step, (train_correct, val_correct) in zip(steps, curve[:-1], strict=True)
        if train_correct != UNSEEN and step < last[0]
    ]
    return [*seen, last]
