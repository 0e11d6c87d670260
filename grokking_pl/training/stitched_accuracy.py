"""The decoder of one step on the embeddings of another (section 4.2 of the paper, appendix K).

The stitched network has the embeddings group of one network and everything else, including buffers, from the other.
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grokking_pl.data.batches import Batch
from grokking_pl.training.module import GrokkingModule
from grokking_pl.training.other_weights import correct_with

Weights = dict[str, Tensor]
"""The weights of a network by name, as in its ``state_dict``."""


def stitched_accuracy(
    module: GrokkingModule, weights: Sequence[Weights], batch: Batch
) -> Float[Tensor, "decoders embeddings"]:
    """The accuracy of each network's decoder on the embeddings of every network.

    The module's weights are left unchanged. Cost: one forward pass of the samples for each pair of networks.

    Args:
        module: a module whose network has the same architecture.
        weights: weights of the networks, such as one run's at several steps.
        batch: inputs and targets.

    Returns:
        One row per decoder, one column per embeddings; the unstitched networks are on the diagonal.
    """
    parts = [split_weights(module, one) for one in weights]
    embeddings = [part for part, _ in parts]
    rows = stitched_correct(module, (part for _, part in parts), embeddings, batch)
    return torch.stack([row.double().mean(1) for row in rows])


def stitched_correct(
    module: GrokkingModule, decoders: Iterable[Weights], embeddings: Sequence[Weights], batch: Batch
) -> Iterable[Bool[Tensor, "embeddings samples"]]:
    """For each decoder, which samples are correct with each of the embeddings."""
    for decoder in decoders:
        yield torch.stack([correct_with(module, {**decoder, **one}, batch) for one in embeddings])


def split_weights(module: GrokkingModule, weights: Weights) -> tuple[Weights, Weights]:
    """The weights of the embeddings and of the decoder, by the module's groups."""
    group = {id(parameter) for parameter in module.parameter_groups()["embeddings"]}
    names = {name for name, parameter in module.network.named_parameters() if id(parameter) in group}
    return (
        {name: value for name, value in weights.items() if name in names},
        {name: value for name, value in weights.items() if name not in names},
    )
