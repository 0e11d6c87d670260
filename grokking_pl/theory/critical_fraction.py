"""The critical training fraction r_c, where a unique structure has probability 1/2 (section 3.2)."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks import OperationTable, addition
from grokking_pl.theory.training_sets import check_trials
from grokking_pl.theory.unique_structure import UniqueStructure, critical_sizes, from_critical_sizes


@dataclass(frozen=True)
class CriticalFraction:
    """The critical training fraction and its 95 % interval.

    Args:
        r_c: fraction at which the probability of a unique structure is 1/2.
        low: fraction at which the upper end of the probability's Wilson interval crosses 1/2.
        high: fraction at which its lower end does.
    """

    r_c: float
    low: float
    high: float


def critical_fraction(curve: UniqueStructure) -> CriticalFraction:
    """The fraction at which the probability of a unique structure crosses 1/2, by linear interpolation.

    The interval is that of the median critical size: the fractions at which the Wilson band of the curve contains 1/2.

    Raises:
        UserError: the curve never reaches 1/2.
    """
    return CriticalFraction(*(_crossing(curve.fractions, c) for c in (curve.probability, curve.high, curve.low)))


def critical_fraction_of(
    table: OperationTable, trials: int, seed: int = 0, device: torch.device | str = "cpu"
) -> CriticalFraction:
    """Estimate the critical training fraction of a task by Monte Carlo.

    Args:
        table: the operation; it must commute.
        trials: number of random orders of the samples.
        seed: seed of the orders.
        device: device to compute on.

    Raises:
        UserError: the operation does not commute, or trials is too small for an interval.
    """
    return critical_fraction(from_critical_sizes(table, critical_sizes(table, trials, seed, device)))


def critical_fraction_by_p(
    ps: Sequence[int],
    trials: int = 1000,
    seed: int = 0,
    device: torch.device | str = "cpu",
    work: float = 5e8,
) -> pd.DataFrame:
    """The critical fraction of addition for different numbers of symbols p, one row per p.

    The column ``r_c_p_over_log_p``, r_c p / log p, compares with the coupon collector's problem: a symbol is
    undetermined unless it occurs in a training sample, and all p occur with probability 1/2 near the fraction (log p +
    0.37) / p.

    Args:
        ps: numbers of symbols.
        trials: random orders for each p, fewer if limited by ``work``.
        seed: seed of the orders.
        device: device to compute on.
        work: upper bound on p³ trials; at least 12 trials are always made.

    Raises:
        UserError: a p is below 3, for which addition has no parallelogram, or trials is below 1.
    """
    check_numbers_of_symbols(ps)
    check_trials(trials)
    rows = []
    for p in ps:
        table = addition(p)
        affordable = min(trials, max(LEAST_TRIALS, int(work / p**3)))
        critical = critical_fraction_of(table, affordable, seed, device)
        scaled = critical.r_c * p / math.log(p)
        rows.append(
            {"p": p, "samples": len(table), "trials": affordable, **asdict(critical), "r_c_p_over_log_p": scaled}
        )
    return pd.DataFrame(rows)


LEAST_TRIALS = 12


def check_numbers_of_symbols(ps: Sequence[int]) -> None:
    """Raise a `UserError` unless addition has a parallelogram for each number of symbols."""
    for p in ps:
        if p < 3:
            raise UserError(f"p is {p}, expected at least 3 symbols: addition of 2 has no parallelogram")


def _crossing(fractions: Float[Tensor, " sizes"], curve: Float[Tensor, " sizes"]) -> float:
    """The fraction at which a rising curve first crosses 1/2."""
    x, y = np.concatenate([[0.0], fractions.numpy()]), np.concatenate([[0.0], curve.numpy()])
    above = int(np.argmax(y >= 0.5))
    if y[above] < 0.5:
        raise UserError(
            f"the probability of a unique structure only reaches {y[-1]:.2f}, expected more than 1/2: use more trials"
        )
    if above == 0:
        return 0.0
    share = (0.5 - y[above - 1]) / (y[above] - y[above - 1])
    return float(x[above - 1] + share * (x[above] - x[above - 1]))
