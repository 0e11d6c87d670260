"""The predicted accuracy: what a decoder can reach, given a representation (section 3.1, appendix D).

Notation: D0, all samples; D, the training set; x_s, the combined vector of the sample s. A decoder that fits the
training set gives a validation sample s the right result if x_s = x_t for a training sample t of the same result: the
two form a parallelogram. The predicted accuracy is (|D| + the number of such validation samples) / |D0|.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.representation import Criterion, Representation, RepresentationMetric, published_criterion
from grokking_pl.metrics.rqi import (
    BLOCK_ROWS,
    LISTED_PAIRS,
    SameResult,
    batches,
    class_blocks,
    close_pairs,
    combine_at,
    combined_dimension,
    prepare,
    sort_in_classes,
)
from grokking_pl.tasks.table import OperationTable

Train = Bool[Tensor, "*#batch samples"] | Int[Tensor, "*#batch train"]
"""A training set: one truth value a sample of the table, or the indices of the training samples."""


def predicted_accuracy(
    representation: Representation, table: OperationTable, train: Train, criterion: Criterion | None = None
) -> Float[Tensor, "*batch"]:
    """The accuracy on all samples that a representation makes possible (section 3.1).

    Args:
        representation: embeddings (*batch, p, d) of the table's p symbols, and how two are combined.
        table: the operation.
        train: the training set, one for all or one for each representation of the batch: a truth value for each
            sample of the table, (samples) or (*batch, samples), or the indices of the training samples, (train) or
            (*batch, train).
        criterion: when two combined vectors count as equal; by default as in the published code, see `Criterion`.

    Returns:
        Between |D| / |D0| and 1.

    Raises:
        UserError: an embedding is nan or infinite, their number is not the table's, or the training set is not one of
            this table and batch.

    >>> from grokking_pl.tasks import addition
    >>> line = Representation(torch.arange(3.0)[:, None])
    >>> predicted_accuracy(line, addition(3), torch.tensor([0, 1, 2]))  # 0 + 0, 0 + 1, 0 + 2, and so 1 + 1; of six
    tensor(0.6667)
    """
    if 0 in representation.batch:
        return representation.embeddings.new_zeros(representation.batch, dtype=representation.result_dtype)
    criterion = criterion or published_criterion(representation)
    flat = prepare(representation, table, criterion)
    groups = SameResult.of(table, flat.embeddings.device)
    mask = train_mask(train, len(table)).to(flat.embeddings.device)
    try:
        mask = mask.expand(*representation.batch, len(table)).reshape(-1, len(table))
    except RuntimeError as error:
        raise UserError(
            f"training sets of batch shape {tuple(mask.shape[:-1])} do not fit representations of batch shape "
            f"{tuple(representation.batch)}; give one for all or one for each"
        ) from error
    mask = mask[:, groups.order]
    if groups.num_pairs <= LISTED_PAIRS:
        right = _predict_listed(flat, groups, mask, criterion)
    elif combined_dimension(flat, groups) == 1:
        right = _predict_sorted(flat, groups, mask, criterion)
    else:
        right = _predict_blocks(flat, groups, mask, criterion)
    fraction = right.double() / len(table)
    return fraction.to(representation.embeddings.device, representation.result_dtype).view(representation.batch)


class PredictedAccuracy(RepresentationMetric):
    """The predicted accuracy (section 3.1), averaged over all representations since the reset.

    Args:
        table: the operation.
        train: the training set: a truth value for each sample of the table, or the indices of the training samples.
        criterion: when two combined vectors count as equal; by default as in the published code, see `Criterion`.

    Raises:
        UserError: the training set is not one of this table.

    >>> from grokking_pl.tasks import addition
    >>> metric = PredictedAccuracy(addition(3), train=torch.tensor([0, 1, 2]))
    >>> metric.update(Representation(torch.arange(3.0)[:, None]))
    >>> metric.compute()
    tensor(0.6667)
    """

    def __init__(self, table: OperationTable, train: Train, criterion: Criterion | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.train_mask = train_mask(train, len(table))
        self.criterion = criterion

    def measure(self, representation: Representation) -> Float[Tensor, "*batch"]:
        """The `predicted_accuracy` of each representation."""
        return predicted_accuracy(representation, self.table, self.train_mask, self.criterion)


def train_mask(train: Train, samples: int) -> Bool[Tensor, "*#batch samples"]:
    """A training set as one truth value a sample.

    Raises:
        UserError: a mask has another length than the table, an index is out of range, or neither was given.
    """
    if train.dtype == torch.bool:
        if train.ndim == 0 or train.shape[-1] != samples:
            raise UserError(f"train is a mask of shape {tuple(train.shape)}, expected (*batch, {samples})")
        return train
    if train.is_floating_point() or train.is_complex() or train.ndim == 0:
        raise UserError(
            f"train has shape {tuple(train.shape)} and {train.dtype}, expected a mask (*batch, {samples}) of truth "
            "values or indices (*batch, train)"
        )
    if train.numel() > 0 and not 0 <= train.min() <= train.max() < samples:
        raise UserError(f"train holds indices {train.min()} to {train.max()}, expected 0 to {samples - 1}")
    mask = torch.zeros(*train.shape[:-1], samples, dtype=torch.bool, device=train.device)
    return mask.scatter_(-1, train.long(), True)


def _predict_listed(
    flat: Representation, groups: SameResult, train: Bool[Tensor, "runs samples"], criterion: Criterion
) -> Int[Tensor, " runs"]:
    """The number of samples predicted right, comparing every pair."""
    assert groups.pairs is not None
    left, right = groups.pairs
    counts = []
    for runs, part in batches(flat, len(left) * flat.embeddings.shape[-1]):
        x = combine_at(part, groups)
        equal = criterion.holds(x.index_select(1, left) - x.index_select(1, right))
        known = train[runs].to(torch.int32)
        # Each sample receives what the other of its pair knows.
        reached = known.index_add(1, left, known.index_select(1, right) * equal)
        reached.index_add_(1, right, known.index_select(1, left) * equal)
        counts.append(reached.count_nonzero(-1))
    return torch.cat(counts)


def _predict_sorted(
    flat: Representation, groups: SameResult, train: Bool[Tensor, "runs samples"], criterion: Criterion
) -> Int[Tensor, " runs"]:
    """The number of samples predicted right where k = 1: by the nearest training samples of the class on both sides."""
    n = len(groups.order)
    place = torch.arange(n, device=groups.order.device)
    counts = []
    for runs, part in batches(flat, n):
        value, position = sort_in_classes(part, groups)
        known = train[runs].gather(-1, position)
        below = torch.where(known, place, -1).cummax(-1).values
        above = torch.where(known, place, n).flip(-1).cummin(-1).values.flip(-1)
        right = known
        for nearest, in_class in ((below, below >= groups.start), (above, above < groups.end)):
            difference = value - value.gather(-1, nearest.clamp(0, n - 1))
            right = right | (in_class & criterion.holds(difference.unsqueeze(-1)))
        counts.append(right.count_nonzero(-1))
    return torch.cat(counts)


def _predict_blocks(
    flat: Representation, groups: SameResult, train: Bool[Tensor, "runs samples"], criterion: Criterion
) -> Int[Tensor, " runs"]:
    """The number of samples predicted right, by blocks of each class's distances."""
    right = train.clone()
    for runs, classes, x in class_blocks(flat, groups):
        known = train[runs][:, classes].flatten(0, 1)  # (runs * classes, m)
        reached = known.clone()
        for columns, column_known in zip(x.split(BLOCK_ROWS, 1), known.split(BLOCK_ROWS, 1), strict=True):
            for rows, row_reached in zip(x.split(BLOCK_ROWS, 1), reached.split(BLOCK_ROWS, 1), strict=True):
                row_reached |= (close_pairs(rows, columns, criterion) & column_known[:, None]).any(-1)
        right[runs.start : runs.stop, classes.flatten()] = reached.view(runs.stop - runs.start, -1)
    return right.count_nonzero(-1)
