"""The representation quality index: which fraction of all parallelograms exist in a representation (section 3.1).

Notation: x_s, the combined vector of the sample s = (a, b), such as E_a + E_b; m_c, the number of samples of result c;
P0, all unordered pairs of distinct samples of the same result, |P0| = sum_c m_c (m_c - 1) / 2; P(R), those pairs whose
combined vectors are equal within the criterion; RQI = |P(R)| / |P0| (equations 1 to 3).

The pairs of a small table are listed once. For a large one they never are: where combined vectors are numbers, they are
sorted and the partners of each are found by bisection; else the distances inside each class come as blocks of a matrix
product, whose rounding is bounded, and the few pairs too near the threshold to be sure of are compared directly.
"""

from collections.abc import Iterator
from typing import ClassVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.representation import Criterion, Representation, RepresentationMetric, published_criterion
from grokking_pl.tasks.table import OperationTable

LISTED_PAIRS = 2**16
"""Up to this many pairs are listed."""

BLOCK_ROWS = 512
"""The distances of a large class come in blocks of this many rows and columns."""


def rqi(
    representation: Representation, table: OperationTable, criterion: Criterion | None = None
) -> Float[Tensor, "*batch"]:
    """The representation quality index RQI(R) = |P(R)| / |P0| (equation 3).

    The parallelograms are all unordered pairs of distinct samples of the table with the same result. For addition over
    unordered pairs these are the i + n = j + m with i < j <= m < n. In a table of ordered pairs of a commutative
    operation, (a, b) and (b, a) are distinct samples too, which every sum of embeddings makes equal.

    Args:
        representation: embeddings (*batch, p, d) of the table's p symbols, and how two are combined.
        table: the operation.
        criterion: when two combined vectors count as equal; by default as in the published code, see `Criterion`.

    Returns:
        Between 0 and 1; nan if no two samples of the table have the same result, for then there is no parallelogram.

    Raises:
        UserError: an embedding is nan or infinite, or their number is not the table's.

    >>> from grokking_pl.tasks import addition
    >>> line = Representation(torch.arange(10.0)[:, None])
    >>> rqi(line, addition(10))
    tensor(1.)
    """
    if 0 in representation.batch:
        return representation.embeddings.new_zeros(representation.batch, dtype=representation.result_dtype)
    criterion = criterion or published_criterion(representation)
    flat = prepare(representation, table, criterion)
    groups = SameResult.of(table, flat.embeddings.device)
    if groups.num_pairs == 0:
        existing = torch.zeros(len(flat.embeddings))
    elif groups.num_pairs <= LISTED_PAIRS:
        existing = _count_listed(flat, groups, criterion)
    elif combined_dimension(flat, groups) == 1:
        existing = _count_sorted(flat, groups, criterion)
    else:
        existing = _count_blocks(flat, groups, criterion)
    fraction = existing.double() / groups.num_pairs
    return fraction.to(representation.embeddings.device, representation.result_dtype).view(representation.batch)


class RepresentationQualityIndex(RepresentationMetric):
    """The representation quality index (equation 3), averaged over all representations since the reset.

    Args:
        table: the operation.
        criterion: when two combined vectors count as equal; by default as in the published code, see `Criterion`.

    >>> from grokking_pl.tasks import addition
    >>> metric = RepresentationQualityIndex(addition(10))
    >>> metric.update(Representation(torch.arange(10.0)[:, None]))
    >>> metric.compute()
    tensor(1.)
    """

    def __init__(self, table: OperationTable, criterion: Criterion | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.criterion = criterion

    def measure(self, representation: Representation) -> Float[Tensor, "*batch"]:
        """The `rqi` of each representation."""
        return rqi(representation, self.table, self.criterion)


class SameResult:
    """The samples of a table grouped by their result.

    Attributes:
        order: the samples, class after class.
        a: left operands, in this order.
        b: right operands, in this order.
        start: where in this order the class of each sample begins.
        end: where in this order the class of each sample ends.
        num_pairs: |P0|.
    """

    _known: ClassVar["WeakKeyDictionary[OperationTable, dict[torch.device, SameResult]]"] = WeakKeyDictionary()

    @classmethod
    def of(cls, table: OperationTable, device: torch.device) -> "SameResult":
        """The groups of a table, made once for each device."""
        groups = cls._known.setdefault(table, {})
        if device not in groups:
            groups[device] = cls(table, device)
        return groups[device]

    def __init__(self, table: OperationTable, device: torch.device) -> None:
        c, self.order = table.c.to(device).sort(stable=True)
        self.a, self.b = table.a.to(device)[self.order], table.b.to(device)[self.order]
        sizes = torch.bincount(c)
        ends = sizes.cumsum(0)
        self.end = ends[c]
        self.start = self.end - sizes[c]
        self.num_pairs = int((sizes * (sizes - 1)).sum()) // 2
        self._sizes, self._starts = sizes, ends - sizes
        self.pairs = self._list_pairs() if self.num_pairs <= LISTED_PAIRS else None

    def _list_pairs(self) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
        """All pairs of positions of the same class."""
        position = torch.arange(len(self.order), device=self.order.device)
        later = self.end - position - 1  # how many of its class come after each position
        left = position.repeat_interleave(later)
        first_pair = later.cumsum(0) - later
        return left, left + 1 + torch.arange(len(left), device=left.device) - first_pair[left]

    def by_size(self) -> Iterator[Int[Tensor, "classes m"]]:
        """The positions of each class of at least two samples, classes of equal size m together."""
        for m in torch.unique(self._sizes).tolist():
            if m > 1:
                starts = self._starts[self._sizes == m]
                yield starts[:, None] + torch.arange(m, device=starts.device)


def block_numbers(device: torch.device) -> int:
    """How many numbers to work on at once: 1 MB, which stays in a processor's cache; 256 MB to occupy a GPU."""
    return 2**17 if device.type == "cpu" else 2**25


def prepare(representation: Representation, table: OperationTable, criterion: Criterion) -> Representation:
    """The representation as one flat batch in double precision, normalised as the criterion wants it."""
    if representation.p != table.p:
        raise UserError(f"the representation has {representation.p} embeddings, but {table.name} has {table.p} symbols")
    flat = representation.exact()
    return Representation(criterion.normalise(flat.embeddings), flat.combine)


def combine_at(
    flat: Representation, groups: SameResult, position: Int[Tensor, "*at"] | slice | None = None
) -> Float[Tensor, "runs *at k"]:
    """The combined vectors of the samples at some positions of the groups' order, or at all."""
    a, b = (groups.a, groups.b) if position is None else (groups.a[position], groups.b[position])
    left, right = flat.embeddings.index_select(1, a.flatten()), flat.embeddings.index_select(1, b.flatten())
    combined = flat.combine(left, right)
    if combined.shape[:2] != left.shape[:2] or combined.ndim != 3:
        raise UserError(
            f"combine returned shape {tuple(combined.shape)} for two of shape {tuple(left.shape)}, "
            "expected (*batch, samples, k)"
        )
    return combined if a.ndim == 1 else combined.unflatten(1, a.shape)


def combined_dimension(flat: Representation, groups: SameResult) -> int:
    """The dimension k of combined vectors."""
    return combine_at(flat, groups, slice(0, 1)).shape[-1]


def batches(flat: Representation, numbers_each: int) -> Iterator[tuple[slice, Representation]]:
    """Parts of the batch that need up to `block_numbers`, if each representation needs ``numbers_each``."""
    runs = len(flat.embeddings)
    step = max(1, block_numbers(flat.embeddings.device) // max(1, numbers_each))
    if step >= runs:
        yield slice(0, runs), flat
        return
    for first in range(0, runs, step):
        part = slice(first, min(first + step, runs))
        yield part, Representation(flat.embeddings[part], flat.combine)


def close_pairs(
    x: Float[Tensor, "classes m k"], y: Float[Tensor, "classes n k"], criterion: Criterion
) -> Bool[Tensor, "classes m n"]:
    """Whether each x and each y of a class are equal within the criterion: exactly what `Criterion.holds` says.

    |x - y|² - r² is (|x|² - r² + |y|²) - 2 x·y, a matrix product. Its rounding is at most of the order of
    k eps (|x|² + |y|² + r²); pairs that lie so near to 0 are compared directly.
    """
    if criterion.is_equality:
        number = torch.unique(torch.cat((x, y), 1).flatten(0, 1), dim=0, return_inverse=True)[1].view(len(x), -1)
        return number[:, : x.shape[1], None] == number[:, None, x.shape[1] :]

    k, squared_radius = x.shape[-1], criterion.squared_radius(x.shape[-1])
    x_squared, y_squared = x.square().sum(-1, keepdim=True), y.square().sum(-1, keepdim=True)
    excess = torch.baddbmm(x_squared - squared_radius + y_squared.mT, x, y.mT, alpha=-2)

    largest = x_squared.amax(1, keepdim=True) + y_squared.amax(1, keepdim=True) + squared_radius
    rounding = 8 * (k + 8) * torch.finfo(x.dtype).eps * largest
    close = excess < -rounding
    unsure = (excess <= rounding).logical_xor_(close).nonzero()
    for part in unsure.split(max(1, block_numbers(x.device) // k)):
        group, row, column = part.unbind(1)
        close[group, row, column] = criterion.holds(x[group, row] - y[group, column])
    return close


def class_blocks(
    flat: Representation, groups: SameResult
) -> Iterator[tuple[slice, Int[Tensor, "classes m"], Float[Tensor, "runs*classes m k"]]]:
    """Combined vectors of whole classes of equal size m: the part of the batch, the classes' positions, the vectors."""
    k = combined_dimension(flat, groups)
    for positions in groups.by_size():
        m = positions.shape[1]
        numbers = m * max(min(m, BLOCK_ROWS), k)
        for classes in positions.split(max(1, block_numbers(positions.device) // numbers)):
            for runs, part in batches(flat, classes.shape[0] * numbers):
                yield runs, classes, combine_at(part, groups, classes).flatten(0, 1)


def _count_listed(flat: Representation, groups: SameResult, criterion: Criterion) -> Int[Tensor, " runs"]:
    """Parallelograms that exist, comparing every pair."""
    assert groups.pairs is not None
    left, right = groups.pairs
    counts = []
    for _, part in batches(flat, len(left) * flat.embeddings.shape[-1]):
        x = combine_at(part, groups)
        counts.append(criterion.holds(x.index_select(1, left) - x.index_select(1, right)).sum(-1))
    return counts[0] if len(counts) == 1 else torch.cat(counts)


def sort_in_classes(flat: Representation, groups: SameResult) -> tuple[Float[Tensor, "runs n"], Int[Tensor, "runs n"]]:
    """Combined numbers (k = 1) in ascending order inside each class, and the position that each comes from."""
    value, position = combine_at(flat, groups).squeeze(-1).sort(-1)
    by_class = groups.start[position].argsort(dim=-1, stable=True)
    return value.gather(-1, by_class), position.gather(-1, by_class)


def _count_sorted(flat: Representation, groups: SameResult, criterion: Criterion) -> Int[Tensor, " runs"]:
    """Parallelograms that exist where k = 1: bisection for the last partner of each number, all at once.

    The criterion is monotone in the difference, also as rounded, so that this counts exactly the pairs it holds for.
    """
    n = len(groups.order)
    first = torch.arange(n, device=groups.order.device)
    rounds = int((groups.end - groups.start).max()).bit_length()
    counts = []
    for _, part in batches(flat, n):
        value, _ = sort_in_classes(part, groups)
        last, beyond = first.expand_as(value), groups.end.expand_as(value)  # it holds at last, and not at beyond
        for _ in range(rounds):
            middle = (last + beyond) // 2
            holds = criterion.holds((value.gather(-1, middle) - value).unsqueeze(-1))
            last, beyond = torch.where(holds, middle, last), torch.where(holds, beyond, middle)
        counts.append((last - first).sum(-1))
    return torch.cat(counts)


def _count_blocks(flat: Representation, groups: SameResult, criterion: Criterion) -> Int[Tensor, " runs"]:
    """Parallelograms that exist, by blocks of each class's distances."""
    count = torch.zeros(len(flat.embeddings), dtype=torch.long, device=flat.embeddings.device)
    for runs, classes, x in class_blocks(flat, groups):
        blocks = x.split(BLOCK_ROWS, 1)
        for i, rows in enumerate(blocks):
            for j, columns in enumerate(blocks[i:]):
                close = close_pairs(rows, columns, criterion).view(-1, len(classes) * rows.shape[1], columns.shape[1])
                pairs = close.flatten(1).count_nonzero(-1)
                # A block on the diagonal holds each sample with itself, and each pair twice.
                count[runs] += pairs if j > 0 else (pairs - close.shape[1]) // 2
    return count
