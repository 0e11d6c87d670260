"""The predicted accuracy: the accuracy that a representation allows (section 3.1, appendix D).

Notation: D0, all samples; D, the training set; x_s, the combined vector of the sample s. A decoder that fits the
training set gives a validation sample s the right result if x_s = x_t for a training sample t of the same result: the
two form a parallelogram, and s is predictable. The predicted accuracy is (|D| + the number of such s) / |D0|.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.errors import UserError
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
from grokking_pl.metrics.training_set import training_mask
from grokking_pl.tasks.table import OperationTable


def predicted_accuracy(
    representation: Representation,
    table: OperationTable,
    train: Shaped[Tensor, "*sets n"],
    criterion: Criterion | None = None,
) -> Float[Tensor, "*batch"]:
    """The accuracy on all samples that a representation allows (section 3.1).

    Cost: 0.4 ms on one core for p = 10, d = 1; in general that of `rqi`.

    Args:
        representation: embeddings (*batch, p, d) of the table's p symbols, and how they are combined.
        table: the operation.
        train: the training set as a mask or indices; one for all representations, or one each.
        criterion: when two combined vectors count as equal; by default as in the published code, see `Criterion`.

    Returns:
        Between |D| / |D0| and 1.

    Raises:
        UserError: an embedding is nan or infinite, their number differs from the table's, or the training set does not
            fit the table and batch.

    >>> from grokking_pl.tasks import addition
    >>> line = Representation(torch.arange(3.0)[:, None])
    >>> predicted_accuracy(line, addition(3), torch.tensor([0, 1, 2]))  # 0 + 0, 0 + 1, 0 + 2, hence 1 + 1: 4 of 6
    tensor(0.6667)
    """
    if 0 in representation.batch:
        return representation.embeddings.new_zeros(representation.batch, dtype=representation.result_dtype)
    criterion = criterion or published_criterion(representation)
    runs = normalised_runs(representation, table, criterion)
    samples = same_result(table, runs.embeddings.device)
    mask = training_mask(table, train).to(runs.embeddings.device)
    try:
        mask = mask.expand(*representation.batch, len(table)).reshape(-1, len(table))
    except RuntimeError as error:
        raise UserError(
            f"training sets of batch shape {tuple(mask.shape[:-1])} do not fit representations of batch shape "
            f"{tuple(representation.batch)}; give one for all or one each"
        ) from error
    mask = mask[:, samples.order]
    if samples.has_few_pairs:
        correct = _count_listed(runs, samples, mask, criterion)
    elif combined_dimension(runs, samples) == 1:
        correct = _count_sorted(runs, samples, mask, criterion)
    else:
        correct = _count_blocks(runs, samples, mask, criterion)
    accuracy = correct.double() / len(table)
    return accuracy.to(representation.embeddings.device, representation.result_dtype).view(representation.batch)


class PredictedAccuracy(RepresentationMetric):
    """The predicted accuracy (section 3.1), averaged over all representations since the reset.

    Args:
        table: the operation.
        train: the training set as a mask or indices.
        criterion: when two combined vectors count as equal; by default as in the published code, see `Criterion`.

    Raises:
        UserError: the training set does not fit the table.

    >>> from grokking_pl.tasks import addition
    >>> metric = PredictedAccuracy(addition(3), train=torch.tensor([0, 1, 2]))
    >>> metric.update(Representation(torch.arange(3.0)[:, None]))
    >>> metric.compute()
    tensor(0.6667)
    """

    def __init__(
        self, table: OperationTable, train: Shaped[Tensor, "*sets n"], criterion: Criterion | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.train_mask = training_mask(table, train)
        self.criterion = criterion

    def measure(self, representation: Representation) -> Float[Tensor, "*batch"]:
        """The `predicted_accuracy` of each representation."""
        return predicted_accuracy(representation, self.table, self.train_mask, self.criterion)


def _count_listed(
    runs: Representation, samples: SameResult, train: Bool[Tensor, "runs samples"], criterion: Criterion
) -> Int[Tensor, " runs"]:
    """The number of training and predictable samples, by comparing every pair."""
    left, right = samples.pairs
    correct = []
    for part, equal in listed_pairs(runs, samples, criterion):
        partners = train[part].to(torch.int32)  # training samples equal to each sample, itself included
        of_left, of_right = partners.index_select(1, right) * equal, partners.index_select(1, left) * equal
        partners.index_add_(1, left, of_left).index_add_(1, right, of_right)
        correct.append(partners.count_nonzero(-1))
    return torch.cat(correct)


def _count_sorted(
    runs: Representation, samples: SameResult, train: Bool[Tensor, "runs samples"], criterion: Criterion
) -> Int[Tensor, " runs"]:
    """The same for k = 1, from the nearest training samples of the class on both sides."""
    n = len(samples.order)
    place = torch.arange(n, device=samples.order.device)
    correct = []
    for part, value, position in sorted_in_classes(runs, samples):
        in_train = train[part].gather(-1, position)
        below = torch.where(in_train, place, -1).cummax(-1).values
        above = torch.where(in_train, place, n).flip(-1).cummin(-1).values.flip(-1)
        predicted = in_train
        for nearest, in_class in ((below, below >= samples.start), (above, above < samples.end)):
            difference = value - value.gather(-1, nearest.clamp(0, n - 1))
            predicted = predicted | (in_class & criterion.holds(difference.unsqueeze(-1)))
        correct.append(predicted.count_nonzero(-1))
    return torch.cat(correct)


def _count_blocks(
    runs: Representation, samples: SameResult, train: Bool[Tensor, "runs samples"], criterion: Criterion
) -> Int[Tensor, " runs"]:
    """The same, by blocks of each class's distances."""
    predicted = train.clone()
    for part, classes, x in whole_classes(runs, samples):
        in_train = train[part][:, classes].flatten(0, 1)  # (runs * classes, m)
        reached = in_train.clone()
        for rows, columns, close in close_blocks(x, criterion):
            reached[:, rows] |= (close & in_train[:, None, columns]).any(-1)
            if rows != columns:
                reached[:, columns] |= (close & in_train[:, rows, None]).any(-2)
        predicted[part, classes.flatten()] = reached.view(part.stop - part.start, -1)
    return predicted.count_nonzero(-1)
