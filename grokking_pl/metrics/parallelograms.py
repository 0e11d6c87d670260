"""Permissible parallelograms P0(D), equation (1) of the paper, counted and summed without enumerating them.

Notation: a sample s = (i, j) has the result c(s) and the indicator u_s = e_i + e_j, so that E_i + E_j = u_s^T E. Two
distinct training samples s, t with the same result make a parallelogram, i.e. the equation (u_s - u_t)^T E = 0. A class
c has m_c training samples and the vector sum v_c = sum of their u_s.

A batch of training sets is a mask with leading dimensions, written ``*sets`` in the shapes below.
"""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks import OperationTable

Value = TypeVar("Value")


def training_mask(
    table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None
) -> Bool[Tensor, "*sets samples"]:
    """Which samples of the table are training samples.

    Args:
        table: the operation.
        train: the training set, or a batch of them: a boolean mask over the samples, or their indices without
            repetition; None for all samples.

    Raises:
        UserError: a mask of the wrong length, an index out of range, or an index given twice.

    >>> from grokking_pl.tasks import addition
    >>> training_mask(addition(2), torch.tensor([0, 2]))
    tensor([ True, False,  True])
    """
    samples = len(table)
    if train is None:
        return torch.ones(samples, dtype=torch.bool, device=table.a.device)
    if train.dtype == torch.bool:
        if train.shape[-1:] != (samples,):
            raise UserError(
                f"{table.name}: the training mask has shape {tuple(train.shape)}, expected {samples} entries in the "
                "last dimension, one for each sample"
            )
        return train
    if train.is_floating_point():
        raise UserError(f"{table.name}: the training set is of type {train.dtype}, expected a mask or sample indices")
    if train.numel() and (train.min() < 0 or train.max() >= samples):
        low, high = int(train.min()), int(train.max())
        raise UserError(f"{table.name}: training indices run from {low} to {high}, expected 0 to {samples - 1}")
    mask = torch.zeros(*train.shape[:-1], samples, dtype=torch.bool, device=train.device)
    mask.scatter_(-1, train.long(), True)
    if mask.sum() != train.numel():
        raise UserError(f"{table.name}: a training index is given twice, expected each sample once")
    return mask


def class_sizes(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Int[Tensor, "*sets results"]:
    """The number m_c of training samples of each result class."""
    mask = training_mask(table, train)
    sizes = torch.zeros(*mask.shape[:-1], table.num_results, dtype=torch.long, device=mask.device)
    return sizes.scatter_add_(-1, table.c.to(mask.device).expand(mask.shape), mask.long())


def count_parallelograms(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Int[Tensor, "*sets"]:
    """The number of permissible parallelograms |P0(D)|, equation (1), as unordered pairs of distinct samples.

    |P0(D)| = sum over results c of m_c (m_c - 1) / 2. In a table of ordered pairs (a, b) and (b, a) are distinct
    samples, and their (trivial) parallelogram counts.

    Args:
        table: the operation.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: ``train`` is not a set of the table's samples.

    >>> from grokking_pl.tasks import addition
    >>> count_parallelograms(addition(10))
    tensor(70)
    """
    sizes = class_sizes(table, train)
    return (sizes * (sizes - 1) // 2).sum(-1)


def gram_matrix(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Float[Tensor, "*sets p p"]:
    """The Gram matrix of all parallelogram equations A(P0(D)) [7].

    G = sum over P0(D) of (u_s - u_t)(u_s - u_t)^T = sum over c of [m_c * sum of u_s u_s^T - v_c v_c^T], integers held
    exactly in float64. Memory is O(p² + results p) and time O(samples) and one matrix product V^T V, however many
    parallelograms there are. An empty P0(D) gives zeros.

    Args:
        table: the operation; it must commute, as E_a + E_b does.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    mask = training_mask(table, train)
    return gram_and_peers(table, mask.reshape(-1, len(table)))[0].reshape(*mask.shape[:-1], table.p, table.p)


def gram_and_peers(
    table: OperationTable, mask: Bool[Tensor, "sets samples"]
) -> tuple[Float[Tensor, "sets p p"], Float[Tensor, "sets samples"]]:
    """The Gram matrix, and for each sample of the table the number m_c of training samples with its result.

    Args:
        table: the operation; it must commute.
        mask: which samples are training samples, for each of a batch of training sets.

    Raises:
        UserError: the operation does not commute.
    """
    require_commutative(table)
    member = mask.double()
    dense = len(table) * table.p * (table.p + table.num_results) <= DENSE_ENTRIES
    squares, sums, peers = _dense_sums(table, member) if dense else _scattered_sums(table, member)
    return torch.baddbmm(squares, sums.mT, sums, alpha=-1), peers


def _scattered_sums(
    table: OperationTable, member: Float[Tensor, "sets samples"]
) -> tuple[Float[Tensor, "sets p p"], Float[Tensor, "sets results p"], Float[Tensor, "sets samples"]]:
    """The sum over samples of m_c u_s u_s^T, v_c for each class, and m_c for each sample, entry by entry."""
    p, device = table.p, member.device
    a, b, c = table.a.to(device), table.b.to(device), table.c.to(device)
    member = member.T.contiguous()  # samples x sets: index_add_ then moves contiguous rows

    def scattered(rows: int, *terms: tuple[Tensor, Tensor]) -> Tensor:
        total = member.new_zeros(rows, member.shape[1])
        for index, weight in terms:
            total.index_add_(0, index, weight)
        return total

    peers = scattered(table.num_results, (c, member))[c]
    weight = member * peers
    squares = scattered(p * p, (a * p + a, weight), (a * p + b, weight), (b * p + a, weight), (b * p + b, weight))
    sums = scattered(table.num_results * p, (c * p + a, member), (c * p + b, member))
    return squares.T.reshape(-1, p, p), sums.T.reshape(-1, table.num_results, p), peers.T


def _dense_sums(
    table: OperationTable, member: Float[Tensor, "sets samples"]
) -> tuple[Float[Tensor, "sets p p"], Float[Tensor, "sets results p"], Float[Tensor, "sets samples"]]:
    """The same as matrix products with constants of the table, which is several times faster for small tables."""
    key = member.device
    constants = _DENSE.setdefault(table, {})
    if key not in constants:
        each = torch.eye(len(table), dtype=member.dtype, device=key)
        squares, sums, _ = _scattered_sums(table, each)  # m_c is 1 in a training set of one sample
        classes = torch.nn.functional.one_hot(table.c.to(key), table.num_results).to(member.dtype)
        constants[key] = squares.flatten(1), sums.flatten(1), classes @ classes.T
    outer, indicator, same_class = constants[key]
    peers = member @ same_class
    squares = (member * peers) @ outer
    sums = member @ indicator
    return squares.view(-1, table.p, table.p), sums.view(-1, table.num_results, table.p), peers


DENSE_ENTRIES = 2**20
_DENSE: WeakKeyDictionary[OperationTable, dict[torch.device, tuple[Tensor, Tensor, Tensor]]] = WeakKeyDictionary()


def once_per_table(function: Callable[[OperationTable], Value]) -> Callable[[OperationTable], Value]:
    """Decorate a function of a table to be computed once for each table, and forgotten with it."""
    values: WeakKeyDictionary[OperationTable, Value] = WeakKeyDictionary()

    @wraps(function)
    def remembered(table: OperationTable) -> Value:
        if table not in values:
            values[table] = function(table)
        return values[table]

    return remembered


def require_commutative(table: OperationTable) -> None:
    """Raise a `UserError` unless the operation commutes, which equations between sums E_a + E_b presuppose."""
    if not table.commutative:
        raise UserError(
            f"{table.name} does not commute: the effective theory reads a sample (a, b) as E_a + E_b, which cannot "
            "tell it from (b, a); expected a commutative operation such as addition"
        )
