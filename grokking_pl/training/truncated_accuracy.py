"""Accuracy with only the first principal components of the embeddings (section 4.2, appendix K)."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grokking_pl.data.batches import Batch
from grokking_pl.metrics.truncation import most_components, truncated_embeddings
from grokking_pl.training.module import GrokkingModule
from grokking_pl.training.other_weights import correct_with, weights_with


def truncated_accuracy(
    module: GrokkingModule, batch: Batch, components: Sequence[int] | None = None
) -> Float[Tensor, " components"]:
    """The accuracy with the embeddings truncated to k principal components, for each k.

    The module's weights are left unchanged. Cost: one forward pass of the samples for each k.

    Args:
        module: a module whose network has embeddings.
        batch: inputs and targets.
        components: the numbers k; None for all from 1 to the dimension of the embeddings.

    Raises:
        UserError: there are no embeddings, or they cannot be replaced.
    """
    if components is None:
        components = range(1, module.representation.embeddings.shape[1] + 1)
    return truncated_correct(module, batch, components).double().mean(1)


def truncated_correct(
    module: GrokkingModule, batch: Batch, components: Sequence[int]
) -> Bool[Tensor, "components samples"]:
    """Which samples are correct with the embeddings truncated to k principal components, for each k."""
    embeddings = module.representation.embeddings
    enough = most_components(embeddings)
    different = sorted({min(k, enough) for k in components})
    rows = {
        k: correct_with(module, weights_with(module.network, truncated), batch)
        for k, truncated in zip(different, truncated_embeddings(embeddings, different), strict=True)
    }
    return torch.stack([rows[min(k, enough)] for k in components])
