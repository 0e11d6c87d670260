"""Combined vectors of samples, and which vectors of the same result are equal within a criterion.

Notation: x_s, the combined vector of the sample s = (a, b), such as E_a + E_b; k, its dimension; runs, all
representations of a batch. For k = 1 the vectors are sorted within each class. Otherwise the distances within a class
are computed as blocks of a matrix product with bounded rounding error, and the few pairs too close to the threshold to
decide are compared directly. Pairs are enumerated only if they are few.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.criterion import Criterion
from grokking_pl.metrics.representation import Representation
from grokking_pl.metrics.same_result import SameResult
from grokking_pl.tasks.table import OperationTable

BLOCK_ROWS = 512
"""Rows and columns of the blocks in which distances within a large class are computed."""


def most_entries(device: torch.device) -> int:
    """Most entries of a temporary tensor: 1 MB stays in a CPU's cache, 256 MB keep a GPU busy."""
    return 2**17 if device.type == "cpu" else 2**25


def normalised_runs(representation: Representation, table: OperationTable, criterion: Criterion) -> Representation:
    """The representations as one batch (runs, p, d) in double precision, normalised by the criterion.

    Raises:
        UserError: an embedding is nan or infinite, or their number differs from the table's.
    """
    if representation.p != table.p:
        raise UserError(f"the representation has {representation.p} embeddings, but {table.name} has {table.p} symbols")
    exact = representation.exact()
    return Representation(criterion.normalise(exact.embeddings), exact.combine)


def combined_vectors(
    runs: Representation, samples: SameResult, positions: Int[Tensor, "*at"] | slice = slice(None)
) -> Float[Tensor, "runs *at k"]:
    """The combined vectors of the samples at the given positions; all by default.

    Raises:
        UserError: ``combine`` does not return one vector per sample.
    """
    a, b = samples.a[positions], samples.b[positions]
    left, right = runs.embeddings.index_select(1, a.flatten()), runs.embeddings.index_select(1, b.flatten())
    combined = runs.combine(left, right)
    if combined.shape[:2] != left.shape[:2] or combined.ndim != 3:
        raise UserError(
            f"combine returned shape {tuple(combined.shape)} for two of shape {tuple(left.shape)}, "
            "expected (*batch, samples, k)"
        )
    return combined if a.ndim == 1 else combined.unflatten(1, a.shape)


def combined_dimension(runs: Representation, samples: SameResult) -> int:
    """The dimension k of combined vectors."""
    return combined_vectors(runs, samples, slice(0, 1)).shape[-1]


def split_runs(runs: Representation, entries_per_run: int) -> Iterator[tuple[slice, Representation]]:
    """Split the runs so that a temporary tensor has at most `most_entries`."""
    total = len(runs.embeddings)
    size = max(1, most_entries(runs.embeddings.device) // max(1, entries_per_run))
    if size >= total:
        yield slice(0, total), runs
        return
    for first in range(0, total, size):
        part = slice(first, min(first + size, total))
        yield part, Representation(runs.embeddings[part], runs.combine)


def listed_pairs(
    runs: Representation, samples: SameResult, criterion: Criterion
) -> Iterator[tuple[slice, Bool[Tensor, "runs pairs"]]]:
    """Which of ``samples.pairs`` are equal within the criterion, for each part of the runs."""
    left, right = samples.pairs
    for part, chosen in split_runs(runs, len(left) * runs.embeddings.shape[-1]):
        x = combined_vectors(chosen, samples)
        yield part, criterion.holds(x.index_select(1, left) - x.index_select(1, right))


def sorted_in_classes(
    runs: Representation, samples: SameResult
) -> Iterator[tuple[slice, Float[Tensor, "runs samples"], Int[Tensor, "runs samples"]]]:
    """Combined numbers (k = 1) in ascending order within each class, and their positions before sorting."""
    for part, chosen in split_runs(runs, len(samples.order)):
        value, position = combined_vectors(chosen, samples).squeeze(-1).sort(-1)
        by_class = samples.start[position].argsort(dim=-1, stable=True)
        yield part, value.gather(-1, by_class), position.gather(-1, by_class)


def whole_classes(
    runs: Representation, samples: SameResult
) -> Iterator[tuple[slice, Int[Tensor, "classes m"], Float[Tensor, "runs*classes m k"]]]:
    """Combined vectors of classes of equal size m: the part of the runs, the classes' positions, the vectors."""
    k = combined_dimension(runs, samples)
    for positions in samples.by_class_size():
        m = positions.shape[1]
        entries = m * max(min(m, BLOCK_ROWS), k)
        for classes in positions.split(max(1, most_entries(positions.device) // entries)):
            for part, chosen in split_runs(runs, len(classes) * entries):
                yield part, classes, combined_vectors(chosen, samples, classes).flatten(0, 1)


def close_blocks(
    x: Float[Tensor, "classes m k"], criterion: Criterion
) -> Iterator[tuple[slice, slice, Bool[Tensor, "classes rows columns"]]]:
    """Which vectors of each class are equal within the criterion, for every unordered pair of blocks."""
    m = x.shape[1]
    blocks = [slice(first, min(first + BLOCK_ROWS, m)) for first in range(0, m, BLOCK_ROWS)]
    for i, rows in enumerate(blocks):
        for columns in blocks[i:]:
            yield rows, columns, close_pairs(x[:, rows], x[:, columns], criterion)


def close_pairs(
    x: Float[Tensor, "classes m k"], y: Float[Tensor, "classes n k"], criterion: Criterion
) -> Bool[Tensor, "classes m n"]:
    """Whether each x and each y of a class are equal within the criterion, exactly as by `Criterion.holds`.

    |x - y|² - r² is (|x|² - r² + |y|²) - 2 x·y, a matrix product. Its rounding error is at most of order k eps (|x|² +
    |y|² + r²); pairs that close to 0 are compared directly.
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
    for part in unsure.split(max(1, most_entries(x.device) // k)):
        group, row, column = part.unbind(1)
        close[group, row, column] = criterion.holds(x[group, row] - y[group, column])
    return close
