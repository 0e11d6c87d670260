"""What a module's network computes for all pairs of symbols."""

import torch
from torch import Tensor

from grokking_pl.models.named_activations import named_activations
from grokking_pl.training.module import GrokkingModule


@torch.no_grad()
def pair_activations(module: GrokkingModule) -> dict[str, Tensor]:
    """The activations of the module's network over all pairs (a, b), by name, as `named_activations` has them.

    The first two dimensions are a and b; ``outputs`` are those that loss and prediction take, times the output scale.

    Raises:
        UserError: the network embeds no pairs of symbols.
    """
    found = named_activations(module.network)
    return {**found, "outputs": module.scaled(found["outputs"])}
