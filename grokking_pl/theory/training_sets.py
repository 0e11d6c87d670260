"""Batches of random training sets."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks import OperationTable

MOST_TRIALS = 10**8


def random_orders(
    table: OperationTable, trials: int, seed: int, device: torch.device | str = "cpu"
) -> Int[Tensor, "trials samples"]:
    """Independent uniform random orders of the table's samples; the first n of each are a random training set.

    Within an order, training sets of different sizes are nested. Sets of the same size are independent.

    Args:
        table: the operation.
        trials: number of orders.
        seed: seed of the generator, on the CPU, so that every device gets the same orders.
        device: device of the result.

    Raises:
        UserError: trials is below 1.
    """
    check_trials(trials)
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(trials, len(table), generator=generator, dtype=torch.float64).argsort(dim=1).to(device)


def random_training_sets(
    table: OperationTable, size: int, trials: int, seed: int, device: torch.device | str = "cpu"
) -> Bool[Tensor, "trials samples"]:
    """Independent uniform random training sets of ``size`` samples, as masks.

    Raises:
        UserError: the size is not between 0 and the number of samples, or trials is below 1.
    """
    check_size(table, size)
    return leading_samples(random_orders(table, trials, seed, device), size)


def leading_samples(order: Int[Tensor, "trials samples"], size: int) -> Bool[Tensor, "trials samples"]:
    """The masks of the first ``size`` samples of each order."""
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, :size], True)


def size_of_fraction(table: OperationTable, fraction: float) -> int:
    """The number of training samples nearest to a fraction of the table.

    Raises:
        UserError: the fraction is not between 0 and 1.
    """
    if not 0 <= fraction <= 1:
        raise UserError(f"{table.name}: the training fraction is {fraction}, expected a number from 0 to 1")
    return round(fraction * len(table))


def check_size(table: OperationTable, size: int) -> None:
    """Raise a `UserError` unless a training set can have ``size`` samples."""
    if not 0 <= size <= len(table):
        raise UserError(f"{table.name}: the training set's size is {size}, expected 0 to {len(table)} samples")


def check_trials(trials: int) -> None:
    """Raise a `UserError` unless the number of trials is in a feasible range."""
    if not 1 <= trials <= MOST_TRIALS:
        raise UserError(f"trials is {trials}, expected 1 to {MOST_TRIALS} random training sets")
