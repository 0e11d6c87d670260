"""Degeneracy of the ground states (equation 7): the nullity n0 of A(P0(D)), and uniqueness."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.metrics.ground_states import full_nullity, ground_states
from grokking_pl.metrics.once_per_table import once_per_table
from grokking_pl.metrics.parallelograms import gram_matrix, require_commutative
from grokking_pl.metrics.substitution import substitute
from grokking_pl.tasks import OperationTable


def nullity(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Int[Tensor, "*sets"]:
    """The degrees of freedom n0 = p - rank A(P0(D)) of the ground states, per embedding dimension.

    The rank is exact (see `grokking_pl.metrics.ground_states`). n0 = p if P0(D) is empty.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.

    >>> from grokking_pl.tasks import addition, modular_addition
    >>> nullity(addition(10)), nullity(modular_addition(11))
    (tensor(2), tensor(1))
    """
    return ground_states(table, train).n0


def is_unique(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Bool[Tensor, "*sets"]:
    """Whether the training set implies the same ground states as the whole table: n0(D) = n0(D0).

    For addition n0(D0) = 2, the ground states are E_k = a + k b, and this is the paper's uniqueness up to translation
    and scale. For addition in a finite abelian group n0(D0) = 1: the only ground state is the collapsed one, with all
    E_k equal, and uniqueness means that the training set's equations already enforce the collapse.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    return nullity(table, train) == full_nullity(table)


def ground_state_basis(table: OperationTable, train: Shaped[Tensor, " n"] | None = None) -> Float[Tensor, "p n0"]:
    """An orthonormal basis of the ground states: the embeddings (p x 1) of zero effective loss.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    vectors: Tensor = torch.linalg.eigh(gram_matrix(table, train)).eigenvectors
    return vectors[:, : int(nullity(table, train))]


@once_per_table
def is_faithful(table: OperationTable) -> bool:
    """Whether the ground states of the whole table separate its result classes.

    If not, E_i + E_j cannot be decoded in the predicted structure. This is the case for addition in any finite group,
    whose ground state is collapsed. A circle, which networks find for modular addition, does not solve these linear
    equations; the effective theory then predicts when the equations determine everything, not what is learned.

    Args:
        table: the operation; it must commute.

    Raises:
        UserError: the operation does not commute.

    >>> from grokking_pl.tasks import addition, modular_addition
    >>> is_faithful(addition(10)), is_faithful(modular_addition(11))
    (True, False)
    """
    require_commutative(table)
    if full_nullity(table) == 1:
        return len(table.c.unique()) == 1
    whole = torch.arange(len(table), device=table.c.device)[None]
    solved = substitute(table, whole)
    combined = (solved.basis[0, table.a] + solved.basis[0, table.b]) % solved.modulus
    return len(combined.unique(dim=0)) == len(table.c.unique())
