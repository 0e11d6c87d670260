"""User-defined operations: any function of two integer tensors."""

import pkgutil
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks.pairs import check_symbols, integer_names, is_commutative, ordered_pairs, unordered_pairs
from grokking_pl.tasks.table import OperationTable


def from_operation(
    operation: str | Callable[[Tensor, Tensor], Any],
    p: int,
    unordered: bool = False,
    name: str | None = None,
) -> OperationTable:
    """Tabulate any function c = operation(a, b) on the integers 0 .. p - 1.

    The results may be any integers or booleans; the result classes are the distinct values in ascending order, which
    also name them. Whether the operation commutes is determined from its results.

    Args:
        operation: function of two integer tensors of equal length, the left and right operands, that returns a tensor
            of results of that length; or its dotted name, for example ``torch.maximum`` or ``my_tasks.gcd``.
        p: number of symbols.
        unordered: include each pair once (a <= b); the operation must commute.
        name: name of the operation in figures and messages; by default the function's name.

    Raises:
        UserError: operation is not a function, p is below 2, the results have the wrong shape or are not integers, the
            operation modifies its operands, or ``unordered`` is set for an operation that does not commute.

    >>> table = from_operation(torch.maximum, p=3, unordered=True)
    >>> table.c.tolist(), table.results
    ([0, 1, 2, 1, 2, 2], ('0', '1', '2'))
    """
    operation = _imported(operation) if isinstance(operation, str) else operation
    if not callable(operation):
        raise UserError(
            f"operation is a {type(operation).__name__}, expected a function such as torch.maximum; for files use "
            "from_file, for group tables finite_group"
        )
    name = name or str(getattr(operation, "__name__", type(operation).__name__))
    check_symbols(p, name)
    a, b = ordered_pairs(p)
    values = _evaluate(operation, a, b, name).view(p, p)
    commutative = is_commutative(values)
    if unordered and not commutative:
        i, j = (values != values.T).nonzero()[0].tolist()
        raise UserError(
            f"{name}: unordered pairs need a commutative operation, but {i} ∘ {j} = {values[i, j]} and "
            f"{j} ∘ {i} = {values[j, i]}; set unordered to false"
        )
    if unordered:
        a, b = unordered_pairs(p)
    distinct, c = _classes(values[a, b] if unordered else values.flatten())
    return OperationTable(a, b, c, integer_names(p), tuple(map(str, distinct.tolist())), commutative, name)


def _imported(path: str) -> Any:
    """Import the object with this dotted name."""
    try:
        return pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"operation is {path}, which cannot be imported ({error}); expected the name of a function such as "
            "torch.maximum; for files use from_file, for group tables finite_group"
        ) from None


def _evaluate(
    operation: Callable[[Tensor, Tensor], Any], a: Int[Tensor, " pairs"], b: Int[Tensor, " pairs"], name: str
) -> Int[Tensor, " pairs"]:
    """Evaluate and check the results of these pairs."""
    versions = a._version, b._version
    values = operation(a, b)
    if (a._version, b._version) != versions:
        raise UserError(f"{name}: the operation modifies its operands in place; return a new tensor instead")
    if not isinstance(values, Tensor):
        raise UserError(f"{name}: the operation returned a {type(values).__name__}, expected a tensor of integers")
    if values.shape != a.shape:
        raise UserError(
            f"{name}: for operands of shape {tuple(a.shape)} the operation returned shape {tuple(values.shape)}, "
            "expected one result for each pair"
        )
    if values.is_floating_point() or values.is_complex():
        raise UserError(
            f"{name}: the operation returned {values.dtype}, expected integers; for division use // or .long()"
        )
    return values.long()


def _classes(values: Int[Tensor, " samples"]) -> tuple[Int[Tensor, " results"], Int[Tensor, " samples"]]:
    """The distinct values in ascending order, and the index of each sample's value among them."""
    low, high = map(int, torch.aminmax(values))
    if high - low > len(values):
        distinct, place = torch.unique(values, return_inverse=True)
        return distinct, place
    # With many samples and few values, marking those that occur is ten times faster than sorting.
    offset = values - low
    occurs = torch.zeros(high - low + 1, dtype=torch.bool)
    occurs[offset] = True
    place = occurs.cumsum(0) - 1
    return occurs.nonzero().squeeze(1) + low, place[offset]
