"""Further operators modulo p of Power et al. (2022), appendix A.1, and of their published program.

Source: "Grokking: generalization beyond overfitting on small algorithmic datasets". Each operator acts on all ordered
pairs (x, y); its result classes are the p residues. The formulas are in Horner's form, x³ + xy = x (x² + y), which
needs the fewest temporaries for large p.
"""

import torch

from grokking_pl.tasks.modular import inverses, modular_table
from grokking_pl.tasks.pairs import check_prime, check_symbols
from grokking_pl.tasks.table import OperationTable


def x2_plus_y2(p: int = 97) -> OperationTable:
    """The polynomial x² + y² (mod p), which commutes.

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x² + y²", lambda x, y: x * x + y * y, p)


def x2_plus_xy_plus_y2(p: int = 97) -> OperationTable:
    """The polynomial x² + xy + y² (mod p), which commutes.

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x² + xy + y²", lambda x, y: x * (x + y) + y * y, p)


def x2_plus_xy_plus_y2_plus_x(p: int = 97) -> OperationTable:
    """The polynomial x² + xy + y² + x (mod p), which does not commute.

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x² + xy + y² + x", lambda x, y: x * (x + y + 1) + y * y, p)


def x3_plus_xy(p: int = 97) -> OperationTable:
    """The polynomial x³ + xy (mod p), which does not commute.

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x³ + xy", lambda x, y: x * (x * x + y), p)


def x3_plus_xy2_plus_y(p: int = 97) -> OperationTable:
    """The polynomial x³ + xy² + y (mod p), on which Power et al. saw no generalisation.

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x³ + xy² + y", lambda x, y: x * (x * x + y * y) + y, p)


def x2_plus_y(p: int = 97) -> OperationTable:
    """The polynomial x² + y (mod p), which does not commute.

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x² + y", lambda x, y: x * x + y, p)


def x3_plus_y(p: int = 97) -> OperationTable:
    """The polynomial x³ + y (mod p), which does not commute.

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x³ + y", lambda x, y: x * x * x + y, p)


def add_if_even_else_multiply(p: int = 97) -> OperationTable:
    """The operation x + y if x is even, else x y (mod p).

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x + y if x even else x y", lambda x, y: torch.where(x % 2 == 0, x + y, x * y), p)


def add_if_even_else_subtract(p: int = 97) -> OperationTable:
    """The operation x + y if x is even, else x - y (mod p).

    Args:
        p: number of symbols and modulus.

    Raises:
        UserError: p is below 2.
    """
    return modular_table("x + y if x even else x - y", lambda x, y: torch.where(x % 2 == 0, x + y, x - y), p)


def divide_if_odd_else_subtract(p: int = 97) -> OperationTable:
    """The operation x / y if y is odd, else x - y (mod p).

    Args:
        p: number of symbols and modulus, a prime.

    Raises:
        UserError: p is not a prime.
    """
    formula = "x / y if y odd else x - y"
    check_symbols(p, formula)
    check_prime(p, formula)
    inverse = inverses(p)
    return modular_table(formula, lambda x, y: torch.where(y % 2 == 1, x * inverse[y], x - y), p)
