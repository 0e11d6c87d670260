"""The precision in which metrics are computed and returned."""

import torch
from jaxtyping import Float
from torch import Tensor


def double_precision(embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch p d"]:
    """The embeddings without gradients, in double precision where the device supports it (Apple's GPUs do not)."""
    return embeddings.detach().to(torch.float64 if embeddings.device.type != "mps" else torch.float32)


def result_dtype(embeddings: Float[Tensor, "*batch p d"]) -> torch.dtype:
    """The precision of a metric's values: that of the embeddings, but at least single."""
    return torch.promote_types(embeddings.dtype, torch.float32)
