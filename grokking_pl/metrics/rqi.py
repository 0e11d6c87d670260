"""The representation quality index: the fraction of parallelograms present in a representation (section 3.1).

Notation: x_s, the combined vector of the sample s = (a, b), such as E_a + E_b; P0, all unordered pairs of distinct
samples of the same result; P(R), those pairs whose combined vectors are equal within the criterion;
RQI = |P(R)| / |P0| (equations 1 to 3).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.metrics.combined_vectors import (
    close_blocks,
    combined_dimension,
    listed_pairs,
    normalised_runs,
    sorted_in_classes,
    whole_classes,
)
from grokking_pl.metrics.criterion import Criterion, published_criterion
from grokking_pl.metrics.representation import Representation
from grokking_pl.metrics.representation_metric import RepresentationMetric
from grokking_pl.metrics.same_result import SameResult, same_result
from grokking_pl.tasks.table import OperationTable


def rqi(
    representation: Representation, table: OperationTable, criterion: Criterion | None = None
) -> Float[Tensor, "*batch"]:
    """The representation quality index RQI(R) = |P(R)| / |P0| (equation 3).

    The parallelograms are all unordered pairs of distinct samples of the table with the same result. For addition over
    unordered pairs these are i + n = j + m with i < j <= m < n. In a table of ordered pairs of a commutative operation,
    (a, b) and (b, a) are distinct samples, which every sum of embeddings makes equal.

    Cost: 0.3 ms on one core for p = 10, d = 1; 0.03 s for p = 113, d = 128.

    Args:
        representation: embeddings (*batch, p, d) of the table's p symbols, and how they are combined.
        table: the operation.
        criterion: when two combined vectors count as equal; by default as in the published code, see `Criterion`.

    Returns:
        Between 0 and 1; nan if no two samples have the same result, so that there are no parallelograms.

    Raises:
        UserError: an embedding is nan or infinite, or their number differs from the table's.

    >>> from grokking_pl.tasks import addition
    >>> line = Representation(torch.arange(10.0)[:, None])
    >>> rqi(line, addition(10))
    tensor(1.)
    """
    if 0 in representation.batch:
        return representation.embeddings.new_zeros(representation.batch, dtype=representation.result_dtype)
    criterion = criterion or published_criterion(representation)
    runs = normalised_runs(representation, table, criterion)
    samples = same_result(table, runs.embeddings.device)
    if samples.num_pairs == 0:
        existing = torch.zeros(len(runs.embeddings), dtype=torch.long)
    elif samples.has_few_pairs:
        existing = _count_listed(runs, samples, criterion)
    elif combined_dimension(runs, samples) == 1:
        existing = _count_sorted(runs, samples, criterion)
    else:
        existing = _count_blocks(runs, samples, criterion)
    fraction = existing.double() / samples.num_pairs
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


def _count_listed(runs: Representation, samples: SameResult, criterion: Criterion) -> Int[Tensor, " runs"]:
    """|P(R)|, by comparing every pair."""
    return torch.cat([equal.sum(-1) for _, equal in listed_pairs(runs, samples, criterion)])


def _count_sorted(runs: Representation, samples: SameResult, criterion: Criterion) -> Int[Tensor, " runs"]:
    """|P(R)| for k = 1, by bisection for the last partner of each number, all at once.

    The criterion is monotone in the difference, also after rounding, so the count is exact.
    """
    position = torch.arange(len(samples.order), device=samples.order.device)
    rounds = int((samples.end - samples.start).max()).bit_length()
    existing = []
    for _, value, _ in sorted_in_classes(runs, samples):
        # The criterion holds at `last`, and not at `beyond`.
        last, beyond = position.expand_as(value), samples.end.expand_as(value)
        for _ in range(rounds):
            middle = (last + beyond) // 2
            holds = criterion.holds((value.gather(-1, middle) - value).unsqueeze(-1))
            last, beyond = torch.where(holds, middle, last), torch.where(holds, beyond, middle)
        existing.append((last - position).sum(-1))
    return torch.cat(existing)


def _count_blocks(runs: Representation, samples: SameResult, criterion: Criterion) -> Int[Tensor, " runs"]:
    """|P(R)|, by blocks of each class's distances."""
    existing = torch.zeros(len(runs.embeddings), dtype=torch.long, device=runs.embeddings.device)
    for part, classes, x in whole_classes(runs, samples):
        for rows, columns, close in close_blocks(x, criterion):
            equal = close.view(part.stop - part.start, -1).count_nonzero(-1)
            if rows == columns:  # contains each sample with itself and each pair in both orders
                equal = (equal - len(classes) * close.shape[1]) // 2
            existing[part] += equal
    return existing
