"""The ideal accuracy: the accuracy of an ideal model, given the training set (section 3.2)."""

from jaxtyping import Float, Shaped
from torch import Tensor

from grokking_pl.metrics.ground_states import ground_states
from grokking_pl.tasks import OperationTable


def ideal_accuracy(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Float[Tensor, "*sets"]:
    """The accuracy of an ideal model, with zero training loss and an injective decoder (section 3.2).

    A sample s is inferable if a training sample t of the same result has E_i + E_j (s) = E_m + E_n (t) in every ground
    state: u_s - u_t is linearly dependent on the training set's equations. The accuracy is |inferable| / |D0|; training
    samples are inferable from themselves.

    The linear equations decide. Where not even the full table's ground states separate two result classes (in modular
    addition all E_k are equal, since a circle does not solve the linear equations), no decoder is ideal and the number
    is formal; `grokking_pl.theory.predict` reports this as ``faithful``.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.

    >>> from grokking_pl.tasks import addition
    >>> ideal_accuracy(addition(10))
    tensor(1., dtype=torch.float64)
    """
    return ground_states(table, train).inferable.double().mean(-1)
