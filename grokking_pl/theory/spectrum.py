"""The eigenvalues of the Hessian, and the grokking rate at which structure forms (section 3.2).

The n0(D0) zero modes of the whole table are the freedom of the structure and do not decay. The grokking rate is the
first eigenvalue above them: lambda_3 for addition (translation and scale are free), lambda_2 for addition in a finite
group (translation only). It is zero if the training set leaves more freedom than the whole table.
"""

from jaxtyping import Float, Shaped
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.ground_states import full_nullity, ground_states
from grokking_pl.tasks import OperationTable
from grokking_pl.theory.hessian import curvature_scale


def spectrum(
    table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None, z0: float | None = None
) -> Float[Tensor, "*sets p"]:
    """The eigenvalues lambda_i of the Hessian (equation 8), ascending; the first n0 are exactly zero.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.
        z0: Z0 = sum of |E_k|²; None for p, as for normalised one-dimensional embeddings.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    return ground_states(table, train).eigenvalues * curvature_scale(table, train, z0)[..., None]


def grokking_rate(
    table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None, z0: float | None = None
) -> Float[Tensor, "*sets"]:
    """The grokking rate: the first eigenvalue above the whole table's zero modes, lambda_3 for addition.

    Zero if n0(D) > n0(D0), in particular if P0(D) is empty.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.
        z0: Z0 = sum of |E_k|²; None for p, as for normalised one-dimensional embeddings.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    values = spectrum(table, train, z0)
    zero_modes = full_nullity(table)
    return values[..., min(zero_modes, table.p - 1)]


def grokking_time(rate: Float[Tensor, "*sets"]) -> Float[Tensor, "*sets"]:
    """The time t_h = 1 / lambda_3 in which the slowest component falls by a factor e; infinite if the rate is zero."""
    return 1 / rate


def grokking_steps(rate: Float[Tensor, "*sets"], learning_rate: float) -> Float[Tensor, "*sets"]:
    """The number of steps n_h = 1 / (lambda_3 eta); infinite if the rate is zero.

    Args:
        rate: the grokking rate.
        learning_rate: learning rate eta of the embeddings.

    Raises:
        UserError: the learning rate is not positive.
    """
    check_learning_rate(learning_rate)
    return grokking_time(rate) / learning_rate


def check_learning_rate(learning_rate: float) -> None:
    """Raise a `UserError` unless the learning rate is positive."""
    if not learning_rate > 0:
        raise UserError(f"learning_rate is {learning_rate}, expected a positive number, for example 1e-3")
