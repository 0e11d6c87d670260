"""Label corruption: some training samples get the class of another result, so that only memory can learn them."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.errors import UserError


def check_fraction(fraction: float) -> None:
    """Raise a `UserError` unless it is a fraction of the training samples."""
    if not 0 <= fraction <= 1:
        raise UserError(f"corrupt_fraction is {fraction}; it must be between 0 and 1")


def class_numbers(
    targets: Shaped[Tensor, "samples ..."], class_targets: Float[Tensor, "classes outputs"] | None
) -> Int[Tensor, " samples"]:
    """The class that each target stands for: itself, or that of the nearest target vector."""
    return targets if class_targets is None else torch.cdist(targets, class_targets).argmin(1)


def corrupted_classes(
    classes: Int[Tensor, " train"], fraction: float, known: Int[Tensor, " classes"], seed: int
) -> tuple[Int[Tensor, " train"], Bool[Tensor, " train"]]:
    """The classes with a fraction of them replaced, and which are: each by another one, all others equally likely.

    Args:
        classes: the true class of each training sample.
        fraction: how many of them are replaced, rounded to the nearest number of samples.
        known: the distinct classes to choose from, ascending.
        seed: decides which are replaced, and by what.

    Raises:
        UserError: there is only one class.

    >>> classes, corrupted = corrupted_classes(torch.zeros(4, dtype=torch.long), 0.5, torch.arange(2), seed=0)
    >>> int(classes.sum()), torch.equal(classes == 1, corrupted)
    (2, True)
    """
    if len(known) < 2:
        raise UserError("corrupt_fraction is set, but all samples have one class: there is no wrong one")
    generator = torch.Generator().manual_seed(seed)
    corrupted = torch.zeros(len(classes), dtype=torch.bool)
    corrupted[torch.randperm(len(classes), generator=generator)[: round(fraction * len(classes))]] = True
    shift = torch.randint(1, len(known), (len(classes),), generator=generator)
    others = known[(torch.searchsorted(known, classes) + shift) % len(known)]
    return torch.where(corrupted, others, classes), corrupted
