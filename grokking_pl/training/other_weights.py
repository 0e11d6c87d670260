"""Evaluate a network with other weights, without changing its own."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call

from grokking_pl.data.batches import Batch
from grokking_pl.errors import UserError
from grokking_pl.models.contract import embeddings_of
from grokking_pl.training.module import GrokkingModule


@torch.no_grad()
def correct_with(module: GrokkingModule, weights: Mapping[str, Tensor], batch: Batch) -> Bool[Tensor, " samples"]:
    """Which samples the module's network gets right with other weights, in evaluation mode.

    Args:
        module: module whose network is evaluated.
        weights: weights by their names in the network; missing ones are the network's own.
        batch: inputs and targets.
    """
    inputs, targets = batch
    network = module.network
    was_training = network.training
    network.train(False)
    try:
        own = network.state_dict()
        named = {f"network.{name}": value.to(own[name]) for name, value in weights.items()}
        outputs: Tensor = functional_call(Uncompiled(network), named, (inputs,))
    finally:
        network.train(was_training)
    correct: Tensor = module.score(module.scaled(outputs), targets)[1]
    return correct


def weights_with(network: nn.Module, embeddings: Float[Tensor, "p d"]) -> dict[str, Tensor]:
    """The weight that holds the network's embeddings, by name, with the embeddings replaced.

    Raises:
        UserError: the network's embeddings are not a view of one of its weights.
    """
    own = embeddings_of(network)
    for name, weight in network.named_parameters():
        first = own.data_ptr() - weight.data_ptr()
        if 0 <= first < weight.numel() * weight.element_size():
            changed = weight.detach().clone()
            changed.as_strided(own.shape, own.stride(), first // weight.element_size()).copy_(embeddings)
            return {name: changed}
    raise UserError(
        f"the embeddings of {type(network).__name__} are not part of one of its weights, so they cannot be "
        "replaced: remove the callback, or let its property embeddings return a weight or a slice of one"
    )


class Uncompiled(nn.Module):
    """A network without its compiled code, which uses its own weights; parameters are named ``network.NAME``.

    Args:
        network: the network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """The network's outputs."""
        outputs: Tensor = self.network.forward(inputs)
        return outputs
