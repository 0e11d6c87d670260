"""Equations as token sequences, with the operator names of the published program of Power et al. (2022).

An equation is ``<|eos|> a op b = c <|eos|>`` for a binary operation and ``<|eos|> op a1 .. an = b1 .. bn <|eos|>`` for
a list task. The vocabulary is ``<|eos|>``, ``=``, all operators in alphabetical order, the numbers 0 .. modulus - 1,
and the permutations of five objects in lexicographic order: 239 tokens for modulus 97.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks.modular import (
    modular_addition,
    modular_division,
    modular_multiplication,
    modular_subtraction,
)
from grokking_pl.tasks.pairs import check_symbols
from grokking_pl.tasks.permutations import (
    symmetric_group,
    symmetric_group_conjugation,
    symmetric_group_xyx,
)
from grokking_pl.tasks.polynomials import (
    add_if_even_else_multiply,
    add_if_even_else_subtract,
    divide_if_odd_else_subtract,
    x2_plus_xy_plus_y2,
    x2_plus_xy_plus_y2_plus_x,
    x2_plus_y,
    x2_plus_y2,
    x3_plus_xy,
    x3_plus_xy2_plus_y,
    x3_plus_y,
)
from grokking_pl.tasks.table import OperationTable

EOS, EQUALS = "<|eos|>", "="
DEGREE = 5
LONGEST_TABLE = 20_000_000
"""Largest number of equations of a list task that fits in memory."""


def _division(p: int) -> OperationTable:
    """Division in the published order: the quotient c outer and the divisor b inner, a = b c."""
    table = modular_division(p)
    order = torch.argsort(table.c * p + table.b)
    return OperationTable(
        table.a[order], table.b[order], table.c[order], table.symbols, table.results, False, table.name
    )


MODULAR: dict[str, Callable[[int], OperationTable]] = {
    "+": modular_addition,
    "-": modular_subtraction,
    "*": modular_multiplication,
    "/": _division,
    "**2+": x2_plus_y,
    "**3+": x3_plus_y,
    "x**2+y**2_mod_97": x2_plus_y2,
    "x**2+y**2+x*y_mod_97": x2_plus_xy_plus_y2,
    "x**2+y**2+x*y+x_mod_97": x2_plus_xy_plus_y2_plus_x,
    "x**3+x*y_mod_97": x3_plus_xy,
    "x**3+x*y**2+y_mod_97": x3_plus_xy2_plus_y,
    "(x._value//y)if(y._value%2==1)else(x-y)_mod_97": divide_if_odd_else_subtract,
    "+*": add_if_even_else_multiply,
    "+-": add_if_even_else_subtract,
}
GROUPS: dict[str, Callable[[int], OperationTable]] = {
    "s5": symmetric_group,
    "s5conj": symmetric_group_conjugation,
    "s5aba": symmetric_group_xyx,
}
LISTS: dict[str, Callable[[Tensor], Tensor]] = {
    "sort": lambda operands: operands.sort(1).values,
    "reverse": lambda operands: operands.flip(1),
    "copy": lambda operands: operands,
}
OPERATORS = (*MODULAR, *GROUPS, *LISTS)
"""The 17 binary operators and the three list tasks, by their published names."""

SHORT_NAMES = {
    "addition": "+",
    "subtraction": "-",
    "multiplication": "*",
    "division": "/",
    "squarepoly": "**2+",
    "cubepoly": "**3+",
    "quad1": "x**2+y**2_mod_97",
    "quad2": "x**2+y**2+x*y_mod_97",
    "quad3": "x**2+y**2+x*y+x_mod_97",
    "cube1": "x**3+x*y_mod_97",
    "cube2": "x**3+x*y**2+y_mod_97",
    "mix1": "(x._value//y)if(y._value%2==1)else(x-y)_mod_97",
    "even-addition_odd-multiplication": "+*",
    "even-addition_odd-subtraction": "+-",
}
"""The published program's names for its data sets."""


@dataclass(frozen=True, eq=False)
class Equations:
    """All equations of an operator as token ids, in the order of the published program.

    Args:
        operator: the operator's published name.
        tokens: one row per equation, with ``<|eos|>`` at both ends.
        vocabulary: the name of each token.
        answers: number of tokens after ``=``, including the closing ``<|eos|>``.
        symbols: names of the p symbols that the operator acts on.
        first_symbol: token id of the first symbol; the others follow.
        table: operation table; None for list tasks.
    """

    operator: str
    tokens: Int[Tensor, "equations tokens"]
    vocabulary: tuple[str, ...]
    answers: int
    symbols: tuple[str, ...]
    first_symbol: int
    table: OperationTable | None

    def __len__(self) -> int:
        """The number of equations."""
        return len(self.tokens)

    def words(self, row: int) -> str:
        """An equation as text."""
        return " ".join(self.vocabulary[token] for token in self.tokens[row].tolist())


def vocabulary(modulus: int = 97) -> tuple[str, ...]:
    """The vocabulary, in the order of the published program."""
    elements = tuple("".join(map(str, element)) for element in permutations(range(DEGREE)))
    return (EOS, EQUALS, *sorted(OPERATORS), *map(str, range(modulus)), *elements)


def equations(
    operator: str,
    modulus: int = 97,
    operand_length: int | None = None,
    operand_count: int | None = None,
    seed: int = 0,
) -> Equations:
    """Generate all equations of an operator.

    Args:
        operator: one of `OPERATORS`, with or without its ``_mod_97``, or one of `SHORT_NAMES`.
        modulus: modulus of the arithmetic and number of integer tokens; the published program has 97.
        operand_length: length of the lists of ``sort``, ``reverse`` and ``copy``; their numbers are distinct.
        operand_count: number of distinct random lists; None for all lists, in lexicographic order.
        seed: seed of the random lists.

    Raises:
        UserError: the operator is unknown, a list task has no operand_length, a binary operator has one, there are too
            many lists, or the modulus does not suit the operator.

    >>> division = equations("/")
    >>> len(division), division.words(1)
    (9312, '<|eos|> 0 / 2 = 0 <|eos|>')
    >>> equations("reverse", modulus=3, operand_length=2).words(1)
    '<|eos|> reverse 0 2 = 2 0 <|eos|>'
    """
    operator = _published_name(operator)
    check_symbols(modulus, operator)
    words = vocabulary(modulus)
    numbers = words.index(EQUALS) + 1 + len(OPERATORS)
    if operator in LISTS:
        operands = _lists(operator, modulus, operand_length, operand_count, seed)
        left, right = [operands], LISTS[operator](operands)
        table, symbols, first = None, words[numbers : numbers + modulus], numbers
    else:
        if operand_length is not None or operand_count is not None:
            raise UserError(
                f"{operator} takes two operands: operand_length and operand_count apply only to {_or(LISTS)}"
            )
        if operator in GROUPS:
            table, first = GROUPS[operator](DEGREE), numbers + modulus
        else:
            table, first = MODULAR[operator](modulus), numbers
        symbols = table.symbols
        left, right = [table.a[:, None], table.b[:, None]], table.c[:, None]
    sign = torch.full((len(right), 1), words.index(operator))
    eos, equals = (torch.full_like(sign, words.index(word)) for word in (EOS, EQUALS))
    question = [sign, left[0] + first] if operator in LISTS else [left[0] + first, sign, left[1] + first]
    tokens = torch.cat([eos, *question, equals, right + first, eos], 1)
    return Equations(operator, tokens, words, right.shape[1] + 1, symbols, first, table)


def _published_name(operator: str) -> str:
    for name in (operator, SHORT_NAMES.get(operator), f"{operator}_mod_97"):
        if name in OPERATORS:
            return name
    raise UserError(f"unknown operator {operator!r}; choose one of {_or((*OPERATORS, *SHORT_NAMES))}")


def _or(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


def _lists(operator: str, modulus: int, length: int | None, count: int | None, seed: int) -> Int[Tensor, "lists n"]:
    """Lists of distinct numbers: all in lexicographic order, or ``count`` distinct random ones."""
    if length is None or not 1 <= length <= modulus:
        raise UserError(f"{operator}: operand_length is {length}; it must be from 1 to {modulus}")
    total = math.perm(modulus, length)
    if count is not None and not 2 <= count <= total:
        raise UserError(f"{operator}: operand_count is {count}; there are {total} lists of {length} distinct numbers")
    if (count or total) > LONGEST_TABLE:
        raise UserError(
            f"{operator}: {count or total} lists are too many for memory: give operand_count, at most {LONGEST_TABLE}"
        )
    if count is None:
        return _all_lists(modulus, length)
    draws = np.random.default_rng(seed)
    if total <= 2 * LONGEST_TABLE and total <= 4 * count:
        return _all_lists(modulus, length)[torch.from_numpy(draws.permutation(total)[:count])]
    lists = np.empty((0, length), dtype=np.int64)
    while len(lists) < count:
        # Each list is the start of a random permutation; duplicates are dropped, in the order drawn.
        drawn = draws.random((min(count, 1 + 10_000_000 // modulus), modulus)).argsort(1)[:, :length]
        lists = np.concatenate([lists, drawn])
        lists = lists[np.sort(np.unique(lists, axis=0, return_index=True)[1])]
    return torch.from_numpy(lists[:count])


def _all_lists(modulus: int, length: int) -> Int[Tensor, "lists n"]:
    lists = torch.empty(1, 0, dtype=torch.long)
    for _ in range(length):
        extended = torch.cat(
            [lists.repeat_interleave(modulus, 0), torch.arange(modulus).repeat(len(lists))[:, None]], 1
        )
        lists = extended[(extended[:, :-1] != extended[:, -1:]).all(1)]
    return lists
