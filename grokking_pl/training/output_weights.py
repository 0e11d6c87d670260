"""The weights of a network's output layer."""

from jaxtyping import Float
from torch import Tensor, nn

from grokking_pl.training.module import GrokkingModule


def output_weights(module: GrokkingModule) -> Float[Tensor, "outputs hidden"] | None:
    """The weights of the network's last linear layer, one row per output; None if its last layer is of another kind."""
    layers = [part for part in module.network.modules() if isinstance(part, nn.Linear)]
    if not layers or layers[-1].out_features != module.sizes.outputs:
        return None
    return layers[-1].weight.detach()
