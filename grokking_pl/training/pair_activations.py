"""Activations of a module's network for all pairs of symbols."""

import torch
from torch import Tensor

from grokking_pl.models.named_activations import named_activations
from grokking_pl.training.module import GrokkingModule


@torch.no_grad()
def pair_activations(module: GrokkingModule) -> dict[str, Tensor]:
    """The activations of the module's network over all pairs (a, b), by name, as in `named_activations`.

    The first two dimensions are a and b; ``outputs`` include the output scale, as for loss and prediction.

    Raises:
        UserError: the network embeds no pairs of symbols.
    """
    found = named_activations(module.network)
    return {**found, "outputs": module.scaled(found["outputs"])}
