"""Permissible parallelograms P0(D), equation (1) of the paper, counted and summed without enumeration.

Notation: a sample s = (i, j) has the result c(s) and the indicator u_s = e_i + e_j, so that E_i + E_j = u_s^T E. Two
distinct training samples s, t with the same result form a parallelogram, i.e. the equation (u_s - u_t)^T E = 0. A class
c has m_c training samples, whose u_s sum to v_c.

Batches of training sets are masks with leading dimensions, written ``*sets`` in the shapes below.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.once_per_table import once_per_table
from grokking_pl.metrics.training_set import training_mask
from grokking_pl.tasks import OperationTable

DENSE_ENTRIES = 2**20
"""Tables whose constants have at most this many entries use matrix products."""
MOST_ENTRIES = 2**24
"""Most entries of a temporary tensor: 128 MB of int64 or float64."""


def class_sizes(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Int[Tensor, "*sets results"]:
    """The number m_c of training samples of each result class."""
    mask = training_mask(table, train)
    sizes = torch.zeros(*mask.shape[:-1], table.num_results, dtype=torch.long, device=mask.device)
    return sizes.scatter_add_(-1, table.c.to(mask.device).expand(mask.shape), mask.long())


def count_parallelograms(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Int[Tensor, "*sets"]:
    """The number of permissible parallelograms |P0(D)|, equation (1), as unordered pairs of distinct samples.

    |P0(D)| = sum over results c of m_c (m_c - 1) / 2. In a table of ordered pairs, (a, b) and (b, a) are distinct
    samples, whose (trivial) parallelogram counts.

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
    """The Gram matrix of all parallelogram equations A(P0(D)) (equation 7).

    G = sum over P0(D) of (u_s - u_t)(u_s - u_t)^T = sum over c of [m_c * sum of u_s u_s^T - v_c v_c^T], integers held
    exactly in float64. Memory is O(p² + results p) and time O(samples) plus one matrix product V^T V, independent of
    the number of parallelograms. An empty P0(D) gives zeros.

    Args:
        table: the operation; it must commute, as E_a + E_b does.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    mask = training_mask(table, train)
    gram, _ = gram_and_class_sizes(table, mask.reshape(-1, len(table)))
    return gram.reshape(*mask.shape[:-1], table.p, table.p)


def gram_and_class_sizes(
    table: OperationTable, mask: Bool[Tensor, "sets samples"]
) -> tuple[Float[Tensor, "sets p p"], Float[Tensor, "sets samples"]]:
    """The Gram matrix, and for each sample of the table the number m_c of training samples with its result.

    Args:
        table: the operation; it must commute.
        mask: mask of the training samples, for each of a batch of training sets.

    Raises:
        UserError: the operation does not commute.
    """
    require_commutative(table)
    in_train = mask.double()
    dense = len(table) * table.p * (table.p + table.num_results) <= DENSE_ENTRIES
    squares, sums, class_size = _dense_sums(table, in_train) if dense else _scattered_sums(table, in_train)
    return torch.baddbmm(squares, sums.mT, sums, alpha=-1), class_size


def sets_at_once(table: OperationTable) -> int:
    """The number of training sets to process together."""
    return max(1, MOST_ENTRIES // (table.p * (table.p + table.num_results) + 4 * len(table)))


def _scattered_sums(
    table: OperationTable, in_train: Float[Tensor, "sets samples"]
) -> tuple[Float[Tensor, "sets p p"], Float[Tensor, "sets results p"], Float[Tensor, "sets samples"]]:
    """The sum over training samples of m_c u_s u_s^T, v_c of each class, and m_c of each sample, by scattering."""
    p, device = table.p, in_train.device
    a, b, c = table.a.to(device), table.b.to(device), table.c.to(device)
    in_train = in_train.T.contiguous()  # samples x sets: index_add_ then moves contiguous rows

    def scattered(rows: int, *terms: tuple[Tensor, Tensor]) -> Tensor:
        total = in_train.new_zeros(rows, in_train.shape[1])
        for index, weight in terms:
            total.index_add_(0, index, weight)
        return total

    class_size = scattered(table.num_results, (c, in_train))[c]
    weight = in_train * class_size
    squares = scattered(p * p, (a * p + a, weight), (a * p + b, weight), (b * p + a, weight), (b * p + b, weight))
    sums = scattered(table.num_results * p, (c * p + a, in_train), (c * p + b, in_train))
    return squares.T.reshape(-1, p, p), sums.T.reshape(-1, table.num_results, p), class_size.T


def _dense_sums(
    table: OperationTable, in_train: Float[Tensor, "sets samples"]
) -> tuple[Float[Tensor, "sets p p"], Float[Tensor, "sets results p"], Float[Tensor, "sets samples"]]:
    """The same by matrix products with the table's constants; several times faster for small tables."""
    outer_products, indicators, same_class = _dense_constants(table, in_train.device)
    class_size = in_train @ same_class
    squares = (in_train * class_size) @ outer_products
    sums = in_train @ indicators
    return squares.view(-1, table.p, table.p), sums.view(-1, table.num_results, table.p), class_size


@once_per_table
def _dense_constants(
    table: OperationTable, device: torch.device
) -> tuple[Float[Tensor, "samples squares"], Float[Tensor, "samples sums"], Float[Tensor, "samples samples"]]:
    """For each sample: u_s u_s^T, u_s in the row of its class, and the samples with its result."""
    single_samples = torch.eye(len(table), dtype=torch.float64, device=device)
    squares, sums, _ = _scattered_sums(table, single_samples)  # m_c is 1 in a training set of one sample
    classes = torch.nn.functional.one_hot(table.c.to(device), table.num_results).double()
    return squares.flatten(1), sums.flatten(1), classes @ classes.T


def require_commutative(table: OperationTable) -> None:
    """Raise a `UserError` unless the operation commutes, as equations between sums E_a + E_b require."""
    if not table.commutative:
        raise UserError(
            f"{table.name} does not commute: the effective theory represents a sample (a, b) by E_a + E_b, which "
            "is the same for (b, a); expected a commutative operation such as addition"
        )
