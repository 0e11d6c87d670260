"""Arithmetic modulo p: +, -, × and /."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.tasks.pairs import (
    check_prime,
    check_symbols,
    integer_names,
    is_commutative,
    ordered_pairs,
    unordered_pairs,
)
from grokking_pl.tasks.table import OperationTable


def modular_addition(p: int, unordered: bool = False) -> OperationTable:
    """Addition a + b (mod p); the result classes are the p residues.

    Args:
        p: number of symbols and modulus.
        unordered: include each pair once (a <= b) instead of all p² ordered pairs.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("a + b", torch.add, p, unordered)


def modular_subtraction(p: int) -> OperationTable:
    """Subtraction a - b (mod p) over all ordered pairs; the result classes are the p residues.

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("a - b", torch.sub, p)


def modular_multiplication(p: int, unordered: bool = False) -> OperationTable:
    """Multiplication a b (mod p), zero included; the result classes are the p residues.

    Args:
        p: number of symbols and modulus, prime or not.
        unordered: include each pair once (a <= b) instead of all p² ordered pairs.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("a × b", torch.mul, p, unordered)


def modular_division(p: int) -> OperationTable:
    """Division a / b (mod p) over all ordered pairs with b != 0; the result classes are the p residues.

    Args:
        p: number of symbols and modulus, a prime.

    Raises:
        UserError: p is not a prime.
    """
    name = f"a / b (mod {p})"
    check_symbols(p, name)
    check_prime(p, name)
    residues = torch.arange(p)
    a = residues.repeat_interleave(p - 1)
    b = residues[1:].repeat(p)
    c = inverses(p)[b].mul_(a).remainder_(p)
    # a / 0 is undefined, so 0 / b has no mirror image: never commutative.
    return OperationTable(a, b, c, integer_names(p), integer_names(p), commutative=False, name=name)


def modular_table(
    formula: str, operation: Callable[[Tensor, Tensor], Tensor], p: int, unordered: bool = False
) -> OperationTable:
    """Tabulate ``operation`` modulo p; the result classes are the p residues.

    Args:
        formula: the operation in mathematical notation, without "(mod p)".
        operation: maps two integer tensors to integer results, which are then reduced modulo p.
        p: number of symbols and modulus.
        unordered: include each pair once (a <= b); only for commutative operations.
    """
    name = f"{formula} (mod {p})"
    check_symbols(p, name)
    a, b = unordered_pairs(p) if unordered else ordered_pairs(p)
    c = operation(a, b).remainder_(p)
    commutative = unordered or is_commutative(c.view(p, p))
    return OperationTable(a, b, c, integer_names(p), integer_names(p), commutative, name)


def inverses(p: int) -> Int[Tensor, " p"]:
    """The inverse of each residue modulo a prime p; 0 for 0."""
    return torch.tensor([0] + [pow(residue, -1, p) for residue in range(1, p)])
