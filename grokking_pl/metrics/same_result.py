"""The samples of an operation table grouped by their result, and the pairs of samples with the same result.

Notation: m_c, the number of samples of result c; P0, all unordered pairs of distinct samples of the same result, the
potential parallelograms; |P0| = sum_c m_c (m_c - 1) / 2.
"""

from collections.abc import Iterator
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.metrics.once_per_table import once_per_table
from grokking_pl.tasks.table import OperationTable

LISTED_PAIRS = 2**16
"""Most pairs that are enumerated."""


class SameResult:
    """The samples of a table sorted by result, so that each result class is a range of positions.

    Attributes:
        order: the sample at each position.
        a: left operand at each position.
        b: right operand at each position.
        start: start of the class at each position.
        end: end of the class at each position.
        num_pairs: |P0|.
    """

    order: Int[Tensor, " samples"]
    a: Int[Tensor, " samples"]
    b: Int[Tensor, " samples"]
    start: Int[Tensor, " samples"]
    end: Int[Tensor, " samples"]
    num_pairs: int

    def __init__(self, table: OperationTable, device: torch.device) -> None:
        c, self.order = table.c.to(device).sort(stable=True)
        self.a, self.b = table.a.to(device)[self.order], table.b.to(device)[self.order]
        sizes = torch.bincount(c)
        ends = sizes.cumsum(0)
        self.end = ends[c]
        self.start = self.end - sizes[c]
        self.num_pairs = int((sizes * (sizes - 1)).sum()) // 2
        self._class_sizes, self._class_starts = sizes, ends - sizes

    @property
    def has_few_pairs(self) -> bool:
        """Whether the pairs are few enough to enumerate."""
        return self.num_pairs <= LISTED_PAIRS

    @cached_property
    def pairs(self) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
        """The two positions of each pair in P0."""
        position = torch.arange(len(self.order), device=self.order.device)
        partners = self.end - position - 1  # later positions of the same class
        left = position.repeat_interleave(partners)
        first_pair = partners.cumsum(0) - partners
        return left, left + 1 + torch.arange(len(left), device=left.device) - first_pair[left]

    def by_class_size(self) -> Iterator[Int[Tensor, "classes m"]]:
        """The positions of all classes of m samples, for each class size m above 1."""
        for m in torch.unique(self._class_sizes).tolist():
            if m > 1:
                starts = self._class_starts[self._class_sizes == m]
                yield starts[:, None] + torch.arange(m, device=starts.device)


@once_per_table
def same_result(table: OperationTable, device: torch.device) -> SameResult:
    """The samples of a table grouped by their result, on a device."""
    return SameResult(table, device)
