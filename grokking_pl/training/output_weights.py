"""The weights with which a network makes its outputs."""

from jaxtyping import Float
from torch import Tensor, nn

from grokking_pl.training.module import GrokkingModule


def output_weights(module: GrokkingModule) -> Float[Tensor, "outputs hidden"] | None:
    """The weights of the network's last linear layer, a row for each output; None if its last layer is another."""
    layers = [part for part in module.network.modules() if isinstance(part, nn.Linear)]
    if not layers or layers[-1].out_features != module.sizes.outputs:
        return None
    return layers[-1].weight.detach()
