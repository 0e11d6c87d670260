"""Local complexity: how many neurons change sign near a sample, a cheap proxy for linear regions.

A ReLU network is linear in each region in which no neuron changes sign. Humayun et al. (2024, arXiv 2402.15555, section
2) count the neurons whose hyperplanes cross a small ball around a sample. When a network groks, the number falls around
the training samples and rises at the boundary. Here the ball is sampled at random points of its surface, so the count
is a lower bound, tighter with more points.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call

from grokking_pl.errors import UserError, require_at_least
from grokking_pl.models.contract import embeddings_if_any
from grokking_pl.models.named_activations import is_nonlinearity
from grokking_pl.training.module import GrokkingModule
from grokking_pl.training.other_weights import Uncompiled, weights_with


@torch.no_grad()
def local_complexity(
    module: GrokkingModule, inputs: Shaped[Tensor, "samples ..."], radius: float = 0.05, points: int = 8, seed: int = 0
) -> Float[Tensor, " samples"]:
    """The number of neurons whose input changes sign within a ball around each sample.

    Vector inputs are perturbed themselves; for symbols all embeddings are perturbed at once. This takes one forward
    pass per point: 0.04 s on one core for 256 pairs and 8 points of the transformer of Nanda et al.

    Args:
        module: module whose network is evaluated, in evaluation mode.
        inputs: samples.
        radius: radius of the ball, relative to the root mean square length of the inputs or embeddings.
        points: number of points on the surface, in opposite pairs.
        seed: seed of the points.

    Raises:
        UserError: the network has no nonlinearity, or a number is out of range.
    """
    require_at_least("local_complexity", "points", points, 2)
    if not 0 < radius < float("inf"):
        raise UserError(f"local_complexity: radius is {radius}; it must be a number above 0")
    network = module.network
    if not any(is_nonlinearity(part) for part in network.modules()):
        raise UserError(f"{type(network).__name__} has no nonlinearity, so it is linear everywhere")
    centre = inputs if inputs.is_floating_point() else _embeddings(network)
    was_training = network.training
    network.eval()
    generator = torch.Generator().manual_seed(seed)
    try:
        positive = torch.cat(_signs(network, inputs, {}), 1)
        changed = torch.zeros_like(positive)
        for number in range(points):
            if number % 2 == 0:
                direction = torch.randn(centre.shape, generator=generator).to(centre).flatten(1)
                length = centre.flatten(1).norm(dim=1).square().mean().sqrt()
                step = (direction * radius * length / direction.norm(dim=1, keepdim=True)).view_as(centre)
            else:
                step = -step
            if inputs.is_floating_point():
                signs = _signs(network, inputs + step, {})
            else:
                signs = _signs(network, inputs, weights_with(network, centre + step))
            changed |= torch.cat(signs, 1) != positive
    finally:
        network.train(was_training)
    return changed.sum(1).to(torch.get_default_dtype())


def _embeddings(network: nn.Module) -> Tensor:
    embeddings = embeddings_if_any(network)
    if embeddings is None:
        raise UserError(f"local complexity needs vector inputs or embeddings, and {type(network).__name__} has neither")
    return embeddings.detach()


def _signs(network: nn.Module, inputs: Tensor, weights: dict[str, Tensor]) -> list[Tensor]:
    """Whether the input of each neuron is positive, (samples x neurons) for each nonlinearity."""
    signs: list[Tensor] = []
    hooks = [
        part.register_forward_pre_hook(lambda part, given: signs.append(given[0].flatten(1) > 0))
        for part in network.modules()
        if is_nonlinearity(part)
    ]
    try:
        functional_call(Uncompiled(network), {f"network.{name}": value for name, value in weights.items()}, (inputs,))
    finally:
        for hook in hooks:
            hook.remove()
    return signs
