"""Restricted and excluded loss: how much of a group's operation a network does with its key representations.

Notation: L(a, b), one logit of the pair (a, b) of elements of a group of order p; M(g), the mean of L over the p pairs
with product g; P, the projection of functions of g on an irreducible representation rho, as in `irrep_power`. Its range
is spanned by the entries of the matrices rho(g), so (P M)(a b) is the projection of L on the functions of a and b that
are entries of rho(a b). These include the characters chi(a b c^-1), of which Chughtai et al. (2023, arXiv 2302.03025,
section 4) find the logit of c to be composed.

The restricted logits are the constant plus these terms for the key representations; the excluded logits are L without
these terms. For addition modulo p, where the representations k and p - k form one frequency, they are those of Nanda et
al. (2023; `restricted_loss`). Logits are real, so each representation includes its complex conjugate.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.group_spectrum import CharacterTable, character_table
from grokking_pl.metrics.precision import double_precision
from grokking_pl.metrics.restricted_loss import loss_over_pairs
from grokking_pl.tasks.table import OperationTable


def group_restricted_logits(
    logits: Float[Tensor, "p p outputs"], table: OperationTable, irreps: Sequence[int]
) -> Float[Tensor, "p p outputs"]:
    """The logits projected on the constant and the terms of the key representations.

    Args:
        logits: logits of all pairs, a in rows and b in columns.
        table: the group's operation.
        irreps: key representations, by number in `character_table`, 1 or more.

    Raises:
        UserError: a number is out of range, the table is not that of a group, or the logits do not match its pairs.
    """
    exact = double_precision(logits)
    return _terms(exact, table, irreps) + exact.mean((0, 1))


def group_excluded_logits(
    logits: Float[Tensor, "p p outputs"], table: OperationTable, irreps: Sequence[int]
) -> Float[Tensor, "p p outputs"]:
    """The logits without the terms of the key representations.

    Args:
        logits: logits of all pairs, a in rows and b in columns.
        table: the group's operation.
        irreps: key representations, by number in `character_table`, 1 or more.

    Raises:
        UserError: a number is out of range, the table is not that of a group, or the logits do not match its pairs.
    """
    exact = double_precision(logits)
    return exact - _terms(exact, table, irreps)


def group_restricted_loss(
    logits: Float[Tensor, "p p outputs"],
    table: OperationTable,
    irreps: Sequence[int],
    samples: Bool[Tensor, "p p"] | None = None,
) -> Float[Tensor, ""]:
    """The cross entropy of the `group_restricted_logits` for the group's operation, in double precision.

    Cost: 0.02 s on one core for S5.

    Args:
        logits: logits of all pairs, a in rows and b in columns; the first p outputs are the results.
        table: the group's operation.
        irreps: key representations, by number in `character_table`.
        samples: mask of the pairs to average over; None for all.

    Raises:
        UserError: a number is out of range, the table is not that of a group, the logits do not match its pairs, there
            are no samples, or there are fewer outputs than results.

    >>> import torch
    >>> from grokking_pl.tasks import symmetric_group
    >>> group_restricted_loss(torch.zeros(6, 6, 6), symmetric_group(3), [2]).exp().round(decimals=4)
    tensor(6., dtype=torch.float64)
    """
    group = character_table(table, logits.device)
    return loss_over_pairs(group_restricted_logits(logits, table, irreps), group.products, samples, table.name)


def group_excluded_loss(
    logits: Float[Tensor, "p p outputs"],
    table: OperationTable,
    irreps: Sequence[int],
    samples: Bool[Tensor, "p p"] | None = None,
) -> Float[Tensor, ""]:
    """The cross entropy of the `group_excluded_logits` for the group's operation, in double precision.

    Cost: 0.02 s on one core for S5.

    Args:
        logits: logits of all pairs, a in rows and b in columns; the first p outputs are the results.
        table: the group's operation.
        irreps: key representations, by number in `character_table`.
        samples: mask of the pairs to average over, usually the training pairs; None for all.

    Raises:
        UserError: a number is out of range, the table is not that of a group, the logits do not match its pairs, there
            are no samples, or there are fewer outputs than results.
    """
    group = character_table(table, logits.device)
    return loss_over_pairs(group_excluded_logits(logits, table, irreps), group.products, samples, table.name)


def check_irreps(irreps: Sequence[int], table: OperationTable) -> None:
    """Raise a `UserError` unless these are distinct nontrivial representations of the group, at least one."""
    last = len(character_table(table).dimensions) - 1
    whole = all(isinstance(k, int) and 1 <= k <= last for k in irreps)
    if not whole or not irreps or len({*irreps}) < len(irreps):
        raise UserError(f"irreps are {list(irreps)}; give different ones of 1 to {last}, for {table.name}")


def _terms(
    logits: Float[Tensor, "p p outputs"], table: OperationTable, irreps: Sequence[int]
) -> Float[Tensor, "p p outputs"]:
    """The part of the logits that depends only on the product, in the key representations."""
    check_irreps(irreps, table)
    if logits.shape[:2] != (table.p, table.p):
        raise UserError(f"the logits are of {tuple(logits.shape[:2])} pairs, but {table.name} has {table.p} elements")
    group = character_table(table, logits.device)
    outputs = logits.shape[2]
    sums = logits.new_zeros(table.p, outputs).index_add_(0, group.products.flatten(), logits.reshape(-1, outputs))
    return (_projection(group, irreps).to(logits) @ (sums / table.p))[group.products]


def _projection(group: CharacterTable, irreps: Sequence[int]) -> Float[Tensor, "p p"]:
    """The matrix that projects on these representations and their complex conjugates."""
    chosen = sorted({*irreps, *group.conjugates[list(irreps)].tolist()})
    weights = group.dimensions[chosen].to(group.characters.real) / len(group.classes)
    return (weights @ group.characters[chosen].real)[group.classes[group.quotients]]
