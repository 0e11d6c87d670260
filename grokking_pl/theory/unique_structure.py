"""The probability that a random training set implies a unique structure (figure 4 (a) of the paper).

Uniqueness, n0(D) = n0(D0), holds for every superset of a training set. So each random order of all samples has one
critical size N: the first n samples imply a unique structure if and only if n >= N. One exact substitution along the
order finds N, and P(unique | n) = P(N <= n) follows for every size from the same orders.
"""

from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.metrics.ground_states import full_nullity
from grokking_pl.metrics.parallelograms import MOST_ENTRIES, require_commutative
from grokking_pl.metrics.substitution import substitute
from grokking_pl.tasks import OperationTable
from grokking_pl.theory.training_sets import check_trials, random_orders

Z_95 = 1.959963984540054
"""The standard normal quantile of two-sided 95 % confidence."""


@dataclass(frozen=True)
class UniqueStructure:
    """The probability of a unique structure as a function of the training set's size.

    Args:
        sizes: numbers n of training samples.
        fractions: n / |D0|.
        probability: fraction of the trials in which n samples imply a unique structure.
        low: lower end of the probability's 95 % Wilson interval.
        high: upper end.
        trials: number of random training sets per size.
    """

    sizes: Int[Tensor, " sizes"]
    fractions: Float[Tensor, " sizes"]
    probability: Float[Tensor, " sizes"]
    low: Float[Tensor, " sizes"]
    high: Float[Tensor, " sizes"]
    trials: int

    def to_frame(self) -> pd.DataFrame:
        """The curve as a table, one row per size."""
        columns = ("sizes", "fractions", "probability", "low", "high")
        frame = pd.DataFrame({name: getattr(self, name).numpy() for name in columns})
        return frame.rename(columns={"sizes": "train_count", "fractions": "train_fraction"})


def critical_sizes(
    table: OperationTable, trials: int, seed: int = 0, device: torch.device | str = "cpu"
) -> Int[Tensor, " trials"]:
    """The least number of leading samples with a unique structure, in each of ``trials`` random orders.

    The arithmetic is modulo one prime q near 2^31. A size is never too small; it is too large with probability 1 / q
    per equation.

    Args:
        table: the operation; it must commute.
        trials: number of random orders.
        seed: seed of the orders.
        device: device to compute on.

    Raises:
        UserError: the operation does not commute, or trials is below 1.
    """
    require_commutative(table)
    check_trials(trials)
    rank = table.p - full_nullity(table)
    if rank == 0:
        return torch.zeros(trials, dtype=torch.long)
    chunk = max(1, 2 * MOST_ENTRIES // (table.p**2 + 4 * len(table)))
    sizes = []
    for start in range(0, trials, chunk):
        order = random_orders(table, min(chunk, trials - start), seed + start, device)
        sizes.append(substitute(table, order).sizes[:, rank - 1].cpu())
    return torch.cat(sizes)


def probability_of_unique_structure(
    table: OperationTable, trials: int = 10_000, seed: int = 0, device: torch.device | str = "cpu"
) -> UniqueStructure:
    """The probability of a unique structure for every size 1 .. |D0| of the training set, by Monte Carlo.

    Each size gets ``trials`` independent uniform random training sets. Sets of different sizes are nested, which makes
    the curve monotone and does not change each size's binomial error.

    Args:
        table: the operation; it must commute.
        trials: number of random training sets of each size.
        seed: seed of the training sets.
        device: device to compute on.

    Raises:
        UserError: the operation does not commute, or trials is below 1.
    """
    return from_critical_sizes(table, critical_sizes(table, trials, seed, device))


def from_critical_sizes(table: OperationTable, critical: Int[Tensor, " trials"]) -> UniqueStructure:
    """The probability at each size, as the fraction of critical sizes that are no larger."""
    samples, trials = len(table), len(critical)
    unique = torch.bincount(critical, minlength=samples + 1).cumsum(0)[1 : samples + 1]
    low, high = wilson_interval(unique, trials)
    sizes = torch.arange(1, samples + 1)
    return UniqueStructure(sizes, sizes.double() / samples, unique.double() / trials, low, high, trials)


def wilson_interval(
    successes: Int[Tensor, "*n"], trials: int, z: float = Z_95
) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """The Wilson score interval of a binomial probability, which stays in [0, 1] and is valid near its ends.

    With k successes in n trials: (k + z²/2 ± z sqrt(k (n - k) / n + z²/4)) / (n + z²).

    Args:
        successes: number k of successes.
        trials: number n of trials.
        z: standard normal quantile of the confidence; 1.96 for 95 %.

    >>> low, high = wilson_interval(torch.tensor(5), 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.237, 0.763)
    """
    k = successes.double()
    centre = k + z**2 / 2
    half_width = z * (k * (trials - k) / trials + z**2 / 4).sqrt()
    return ((centre - half_width) / (trials + z**2)).clamp(0, 1), ((centre + half_width) / (trials + z**2)).clamp(0, 1)
