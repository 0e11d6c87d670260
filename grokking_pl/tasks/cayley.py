"""Finite groups from their Cayley tables."""

import os

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks.pairs import check_symbols, integer_names, is_commutative, ordered_pairs
from grokking_pl.tasks.table import OperationTable
from grokking_pl.tasks.table_file import UNDEFINED, read_square


def finite_group(
    cayley: list[list[int]] | str | os.PathLike[str], symbols: list[str] | None = None, name: str = "group"
) -> OperationTable:
    """A finite group of p elements over all ordered pairs, from its Cayley table.

    Args:
        cayley: p rows of p integers in 0 .. p - 1, where row a, column b holds the product a b; or the path of a CSV
            file, or of any other file that `from_file` reads.
        symbols: names of the p elements; by default those in the file, or else their numbers.
        name: name of the group in figures and messages.

    Raises:
        UserError: the table cannot be read, is empty or not square, or is not the table of a group: an entry is out of
            range, there is no identity, an element has no inverse, or the product is not associative.

    >>> finite_group([[0, 1], [1, 0]], name="Z2").commutative
    True
    """
    if callable(cayley):
        raise UserError(f"{name}: a function is given, expected a Cayley table; give functions to from_operation")
    if isinstance(cayley, str | os.PathLike):
        file = read_square(cayley, name, symbols=symbols)
        product, symbols = file.values, list(file.symbols)
        if (product == UNDEFINED).any():
            left, right = _first(product == UNDEFINED)
            raise UserError(
                f"{name}: not a group: {symbols[left]} × {symbols[right]} is blank in {cayley}; for a table that is "
                "not a group use from_file"
            )
    else:
        product = _square(cayley, name)
    p = len(product)
    check_symbols(p, name)
    try:
        _check_group(product, name)
    except UserError as error:
        raise UserError(f"{error}; for a table that is not a group use from_file") from None
    if symbols is not None and len(symbols) != p:
        raise UserError(f"{name}: {len(symbols)} symbol names given, expected {p}, one per element")
    names = integer_names(p) if symbols is None else tuple(symbols)
    a, b = ordered_pairs(p)
    return OperationTable(a, b, product.flatten(), names, names, is_commutative(product), name)


def _square(rows: list[list[int]], name: str) -> Int[Tensor, "p p"]:
    p = len(rows)
    if p == 0:
        raise UserError(f"{name}: the Cayley table is empty, expected at least 2 rows")
    for a, row in enumerate(rows):
        if len(row) != p:
            raise UserError(
                f"{name}: row {a} of the Cayley table has {len(row)} entries, expected {p}, the number of rows"
            )
    try:
        product = torch.as_tensor(rows)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name}: the Cayley table must hold integers 0 .. {p - 1} only: {error}") from error
    if product.is_floating_point() or product.dtype == torch.bool:
        raise UserError(f"{name}: the Cayley table holds {product.dtype}, expected integers 0 .. {p - 1}")
    return product.long().clone()


def _check_group(product: Int[Tensor, "p p"], name: str) -> None:
    """Check closure, identity, inverses and associativity, in this order."""
    p = len(product)
    outside = (product < 0) | (product >= p)
    if outside.any():
        a, b = _first(outside)
        raise UserError(f"{name}: not a group: {a} × {b} = {product[a, b]}, expected an element 0 .. {p - 1}")

    elements = torch.arange(p)
    is_identity = (product == elements).all(1) & (elements == product.T).all(1)
    if not is_identity.any():
        raise UserError(f"{name}: not a group: there is no identity e with e × a = a × e = a for all a")
    identity = int(is_identity.int().argmax())

    has_inverse = ((product == identity) & (identity == product.T)).any(1)
    if not has_inverse.all():
        (a,) = _first(~has_inverse)
        raise UserError(f"{name}: not a group: {a} has no inverse: no b with a × b = b × a = {identity} (the identity)")

    for middle in _generators(product):
        # Light's test: it suffices to check (a g) b = a (g b) for every g in a generating set.
        left, right = product[product[:, middle]], product[:, product[middle]]  # (a g) b and a (g b)
        if not torch.equal(left, right):
            a, b = _first(left != right)
            raise UserError(
                f"{name}: not a group: the product is not associative: ({a} × {middle}) × {b} = {left[a, b]}, "
                f"but {a} × ({middle} × {b}) = {right[a, b]}"
            )


def _generators(product: Int[Tensor, "p p"]) -> list[int]:
    """A generating set; at most log2(p) elements if the table is a group."""
    reached = torch.zeros(len(product), dtype=torch.bool)
    generators = []
    while not reached.all():
        (new,) = _first(~reached)
        generators.append(new)
        reached[new] = True
        size = 0
        while size < reached.sum():
            members = reached.nonzero().squeeze(1)
            size = len(members)
            reached[product[members][:, members].flatten()] = True
    return generators


def _first(mask: Bool[Tensor, "..."]) -> list[int]:
    """The indices of the first true entry."""
    return mask.nonzero()[0].tolist()
