"""The table of a binary operation (a, b) -> c."""

from collections.abc import Sized
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.errors import UserError


@dataclass(frozen=True, eq=False)
class OperationTable(Sized):  # the base class lets jsonargparse accept any function that returns a table
    """All samples of a binary operation over ``p`` symbols (section 2 of the paper).

    Args:
        a: left operand of each sample, in ``0 .. p - 1``.
        b: right operand of each sample, in ``0 .. p - 1``.
        c: result class of each sample, in ``0 .. num_results - 1``.
        symbols: name of each of the ``p`` symbols.
        results: name of each result class.
        commutative: whether a ∘ b = b ∘ a for all pairs; always true of a table of unordered pairs (a <= b).
        name: name of the operation in figures and messages.

    Raises:
        UserError: the table is empty, its columns differ in length, or an entry is out of range.
    """

    a: Int[Tensor, " samples"]
    b: Int[Tensor, " samples"]
    c: Int[Tensor, " samples"]
    symbols: tuple[str, ...]
    results: tuple[str, ...]
    commutative: bool
    name: str

    def __post_init__(self) -> None:
        if not len(self.a) == len(self.b) == len(self.c):
            raise UserError(f"{self.name}: a, b and c have {len(self.a)}, {len(self.b)} and {len(self.c)} entries")
        if len(self.a) == 0:
            raise UserError(f"{self.name}: the operation table is empty")
        for column, size in (("a", len(self.symbols)), ("b", len(self.symbols)), ("c", len(self.results))):
            low, high = torch.aminmax(getattr(self, column))
            if low < 0 or high >= size:
                raise UserError(f"{self.name}: {column} runs from {low} to {high}, expected 0 to {size - 1}")

    def __len__(self) -> int:
        """The number of samples |D0|."""
        return len(self.a)

    @property
    def p(self) -> int:
        """The number of symbols."""
        return len(self.symbols)

    @property
    def num_results(self) -> int:
        """The number of result classes."""
        return len(self.results)
