"""The grokking rate and predicted steps as functions of the training set's size (figure 5 of the paper)."""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.metrics.ground_states import full_nullity
from grokking_pl.metrics.parallelograms import gram_matrix, require_commutative, sets_at_once
from grokking_pl.metrics.substitution import substitute
from grokking_pl.tasks import OperationTable
from grokking_pl.theory.hessian import curvature_scale
from grokking_pl.theory.spectrum import grokking_steps
from grokking_pl.theory.training_sets import check_size, check_trials, leading_samples, random_orders

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def sample_rates(
    table: OperationTable,
    sizes: Sequence[int],
    trials: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "sizes trials"]:
    """The grokking rate lambda_3 of ``trials`` random training sets of each size; 0 if the structure is not unique.

    Args:
        table: the operation; it must commute.
        sizes: numbers of training samples.
        trials: number of random training sets of each size.
        seed: seed of the training sets.
        device: device to compute on.

    Raises:
        UserError: a size is out of range, trials is below 1, or the operation does not commute.
    """
    require_commutative(table)
    check_trials(trials)
    for size in sizes:
        check_size(table, size)
    zero_modes = full_nullity(table)
    rates = torch.zeros(len(sizes), trials, dtype=torch.float64)
    if zero_modes == table.p:
        return rates
    order = random_orders(table, trials, seed, device)
    chunk = sets_at_once(table)
    critical = torch.cat([substitute(table, part).sizes[:, table.p - zero_modes - 1] for part in order.split(chunk)])
    for row, size in enumerate(sizes):
        unique = (critical <= size).nonzero()[:, 0]
        for part in unique.split(chunk) if len(unique) else ():
            mask = leading_samples(order[part], size)
            values = torch.linalg.eigvalsh(gram_matrix(table, mask))[:, zero_modes]
            rates[row, part.cpu()] = (values * curvature_scale(table, mask)).cpu()
    return rates


def rate_quantiles(
    table: OperationTable, sizes: Sequence[int], rates: Float[Tensor, "sizes trials"], learning_rate: float
) -> pd.DataFrame:
    """Quantiles of lambda_3 and of the predicted steps 1 / (lambda_3 eta) over training sets, one row per size.

    Columns ``rate_q05`` .. ``rate_q95``, ``rate_mean``, and ``steps_q05`` .. ``steps_q95``. A training set that does
    not determine the structure has rate 0 and infinitely many steps.

    Raises:
        UserError: the learning rate is not positive.
    """
    # Quantiles are values of actual sets: interpolation towards infinity is undefined.
    levels = torch.tensor(QUANTILES, dtype=torch.float64)
    rate = torch.quantile(rates, levels, dim=1, interpolation="nearest")
    steps = torch.quantile(grokking_steps(rates, learning_rate), levels, dim=1, interpolation="nearest")
    frame = pd.DataFrame({"train_count": list(sizes), "train_fraction": [size / len(table) for size in sizes]})
    frame["sets"] = rates.shape[1]
    frame["share_unique"] = (rates > 0).double().mean(dim=1).numpy()
    frame["rate_mean"] = rates.mean(dim=1).numpy()
    for name, values in (("rate", rate), ("steps", steps)):
        for level, row in zip(QUANTILES, values, strict=True):
            frame[f"{name}_q{round(100 * level):02d}"] = row.numpy()
    return frame
