"""Training sets as masks over the samples of an operation table.

A batch of training sets has leading dimensions, written ``*sets`` in the shapes of this package.
"""

import torch
from jaxtyping import Bool
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks import OperationTable


def training_mask(table: OperationTable, train: Tensor | None = None) -> Bool[Tensor, "*sets samples"]:
    """The mask of a table's training samples, from a mask or from indices.

    Args:
        table: the operation.
        train: the training set, or a batch of them: a boolean mask over the samples, or distinct sample indices; None
            for all samples.

    Raises:
        UserError: a mask of the wrong length, an index out of range, a repeated index, or neither mask nor indices.

    >>> from grokking_pl.tasks import addition
    >>> training_mask(addition(2), torch.tensor([0, 2]))
    tensor([ True, False,  True])
    """
    samples = len(table)
    if train is None:
        return torch.ones(samples, dtype=torch.bool, device=table.a.device)
    if train.ndim == 0 or train.is_floating_point() or train.is_complex():
        raise UserError(
            f"{table.name}: the training set has shape {tuple(train.shape)} and {train.dtype}, expected a mask or "
            "sample indices"
        )
    if train.dtype == torch.bool:
        if train.shape[-1] != samples:
            raise UserError(
                f"{table.name}: the training mask has shape {tuple(train.shape)}, expected {samples} entries in the "
                "last dimension, one per sample"
            )
        return train
    if train.numel() and (train.min() < 0 or train.max() >= samples):
        low, high = int(train.min()), int(train.max())
        raise UserError(f"{table.name}: training indices run from {low} to {high}, expected 0 to {samples - 1}")
    mask = torch.zeros(*train.shape[:-1], samples, dtype=torch.bool, device=train.device)
    mask.scatter_(-1, train.long(), True)
    if mask.sum() != train.numel():
        raise UserError(f"{table.name}: a training index is repeated, expected each sample at most once")
    return mask
