"""Label corruption: some training samples get a wrong class, which can only be memorised."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.errors import UserError


def check_fraction(fraction: float) -> None:
    """Raise a `UserError` unless ``fraction`` is between 0 and 1."""
    if not 0 <= fraction <= 1:
        raise UserError(f"corrupt_fraction is {fraction}; it must be between 0 and 1")


def class_numbers(
    targets: Shaped[Tensor, "samples ..."], class_targets: Float[Tensor, "classes outputs"] | None
) -> Int[Tensor, " samples"]:
    """The class of each target: the target itself, or that of the nearest target vector."""
    return targets if class_targets is None else torch.cdist(targets, class_targets).argmin(1)


def corrupted_classes(
    classes: Int[Tensor, " train"], fraction: float, known: Int[Tensor, " classes"], seed: int
) -> tuple[Int[Tensor, " train"], Bool[Tensor, " train"]]:
    """Replace a fraction of the classes, each by another class drawn uniformly; also return the mask of replaced ones.

    Args:
        classes: the true class of each training sample.
        fraction: fraction to replace, rounded to the nearest number of samples.
        known: the distinct classes to choose from, ascending.
        seed: determines which samples are replaced, and by which class.

    Raises:
        UserError: there is only one class.

    >>> classes, corrupted = corrupted_classes(torch.zeros(4, dtype=torch.long), 0.5, torch.arange(2), seed=0)
    >>> int(classes.sum()), torch.equal(classes == 1, corrupted)
    (2, True)
    """
    if len(known) < 2:
        raise UserError("corrupt_fraction is set, but all samples have the same class: there is no wrong one")
    generator = torch.Generator().manual_seed(seed)
    corrupted = torch.zeros(len(classes), dtype=torch.bool)
    corrupted[torch.randperm(len(classes), generator=generator)[: round(fraction * len(classes))]] = True
    shift = torch.randint(1, len(known), (len(classes),), generator=generator)
    others = known[(torch.searchsorted(known, classes) + shift) % len(known)]
    return torch.where(corrupted, others, classes), corrupted
