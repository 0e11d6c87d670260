"""Pairs of operands: the samples of a table and their order."""

import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.errors import UserError

MAX_SYMBOLS = 20_000
"""With more symbols, the columns of the table alone would need over 10 GB."""


def ordered_pairs(p: int) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """All p² pairs (a, b), a outer and b inner.

    >>> a, b = ordered_pairs(2)
    >>> a.tolist(), b.tolist()
    ([0, 0, 1, 1], [0, 1, 0, 1])
    """
    symbols = torch.arange(p)
    return symbols.repeat_interleave(p), symbols.repeat(p)


def unordered_pairs(p: int) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """All p(p + 1)/2 pairs a <= b, a outer and b inner.

    >>> a, b = unordered_pairs(2)
    >>> a.tolist(), b.tolist()
    ([0, 0, 1], [0, 1, 1])
    """
    a, b = torch.triu_indices(p, p)
    return a, b


def check_symbols(p: int, name: str) -> None:
    """Raise a `UserError` unless an operation over ``p`` symbols can be tabulated."""
    if isinstance(p, bool) or not isinstance(p, int):
        raise UserError(f"{name}: p is {p!r}, expected a whole number of symbols, for example 10")
    if p < 2:
        raise UserError(f"{name}: p is {p}, expected at least 2 symbols; give a larger p")
    if p > MAX_SYMBOLS:
        raise UserError(f"{name}: p is {p}, so {p * p:.1e} pairs, too many for memory; give p up to {MAX_SYMBOLS}")


def check_prime(p: int, name: str) -> None:
    """Raise a `UserError` unless ``p`` is prime, as division modulo p requires."""
    from sympy import isprime, nextprime, prevprime  # imported here because sympy takes a second

    if not isprime(p):
        nearest = f"{prevprime(p)} or {nextprime(p)}" if p > 2 else "2"
        raise UserError(f"{name}: p is {p}, expected a prime (every b != 0 needs an inverse); try {nearest}")


def is_commutative(product: Int[Tensor, "p p"]) -> bool:
    """Whether a ∘ b = b ∘ a for all pairs, given the square of results."""
    return torch.equal(product, product.T)


def integer_names(count: int) -> tuple[str, ...]:
    """The names "0" .. "count - 1"."""
    return tuple(map(str, range(count)))
