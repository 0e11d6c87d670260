"""All predictions of the theory for a training set, in one call."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.ground_states import full_nullity, ground_states
from grokking_pl.tasks import OperationTable
from grokking_pl.theory.hessian import scale_of
from grokking_pl.theory.nullity import is_faithful
from grokking_pl.theory.spectrum import grokking_steps, grokking_time

UNFAITHFUL = "does not separate this task's results, so a network may find another one"
"""What is said of a structure that is not faithful."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions of the effective theory for one training set (section 3.2).

    Args:
        lambda_3: grokking rate: the first eigenvalue above the whole table's zero modes, the third for addition; 0 if
            the structure is not unique.
        n0: nullity of A(P0(D)) (equation 7).
        full_nullity: nullity n0(D0) of the whole table; 2 for addition.
        unique: whether n0 = n0(D0), so that the training set implies the whole structure.
        ideal_accuracy: accuracy of an ideal model on the whole table.
        spectrum: eigenvalues of the Hessian (equation 8), ascending, with Z0 = p.
        parallelograms: number |P0(D)| of equations.
        faithful: whether the structure separates the results, so that it can be decoded; false for addition in a finite
            group, where the theory predicts when the equations determine everything, not what is learned.
    """

    lambda_3: float
    n0: int
    full_nullity: int
    unique: bool
    ideal_accuracy: float
    spectrum: Float[Tensor, " p"]
    parallelograms: int
    faithful: bool

    @property
    def time(self) -> float:
        """The time t_h = 1 / lambda_3; infinite if the rate is zero."""
        return float(grokking_time(self._rate))

    def steps(self, learning_rate: float) -> float:
        """The number of steps n_h = 1 / (lambda_3 eta) at the embeddings' learning rate; infinite if the rate is zero.

        Raises:
            UserError: the learning rate is not positive.
        """
        return float(grokking_steps(self._rate, learning_rate))

    @property
    def _rate(self) -> Float[Tensor, ""]:
        return torch.tensor(self.lambda_3, dtype=torch.float64)


def predict(table: OperationTable, train: Shaped[Tensor, " n"] | None = None) -> Prediction:
    """Predict rate, nullity, uniqueness and ideal accuracy from the training set alone.

    An empty P0(D) implies no structure: rate 0, n0 = p.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices; None for all samples.

    Raises:
        UserError: the operation does not commute, ``train`` is not a set of the table's samples, or it is a batch.

    >>> from grokking_pl.tasks import addition
    >>> prediction = predict(addition(10))
    >>> prediction.n0, prediction.unique, round(prediction.steps(1e-3))
    (2, True, 11667)
    """
    if train is not None and train.dim() != 1:
        raise UserError(f"{table.name}: the training set has {train.dim()} dimensions, expected one set: 1 dimension")
    states = ground_states(table, train)
    n0, n0_of_table = int(states.n0), full_nullity(table)
    eigenvalues = states.eigenvalues * scale_of(states.parallelograms, table.p)
    return Prediction(
        lambda_3=float(eigenvalues[n0_of_table]) if n0_of_table < table.p else 0.0,
        n0=n0,
        full_nullity=n0_of_table,
        unique=n0 == n0_of_table,
        ideal_accuracy=int(states.inferable.sum()) / len(table),
        spectrum=eigenvalues,
        parallelograms=int(states.parallelograms),
        faithful=is_faithful(table),
    )
