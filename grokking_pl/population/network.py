"""A member's network as pure functions of its parameters, vectorised over members by ``vmap``."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from grokking_pl.training import GrokkingModule

Parameters = dict[str, Tensor]
"""The parameters of one member, by name."""


class MemberNetwork:
    """The computation shared by all members of a batch, each with its own parameters.

    Args:
        module: module of any member; it is copied, and its weights are not used.
        inputs: samples of that member.
        device: device to compute on.

    Attributes:
        module: the copy, in training mode.
        has_penalty: whether the network adds a penalty to the loss.
        widest: entries of the widest layer's output for one sample.
    """

    def __init__(self, module: GrokkingModule, inputs: Shaped[Tensor, "samples ..."], device: torch.device) -> None:
        self.widest = widest_layer(module, inputs)
        self.module = copy.deepcopy(module).to(device).train()
        self.has_penalty = hasattr(module.network, "penalty")
        self._reader = _Reader(self.module)

    def outputs(
        self, parameters: Parameters, inputs: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch *answers outputs"]:
        """The network's outputs for a batch of inputs."""
        # Other attention kernels cannot be vectorised over members; for few tokens this one is the fastest anyway.
        with sdpa_kernel(SDPBackend.MATH):
            return self._read(parameters, lambda module: module(inputs))

    def penalty(self, parameters: Parameters) -> Float[Tensor, ""]:
        """The network's penalty on the loss."""
        return self._read(parameters, lambda module: module.network.penalty())

    def embeddings(self, parameters: Parameters) -> Float[Tensor, "p d"]:
        """The embeddings of the symbols."""
        return self._read(parameters, lambda module: module.representation.embeddings)

    def _read(self, parameters: Parameters, question: Callable[[Any], Tensor]) -> Tensor:
        tensors = {f"module.{name}": value for name, value in parameters.items()}
        answer: Tensor = functional_call(self._reader, tensors, (question,))
        return answer


def widest_layer(module: GrokkingModule, inputs: Shaped[Tensor, "samples ..."]) -> int:
    """The entries of the widest layer's output for one sample, in evaluation mode, which every layer takes alone."""
    sizes = [1]

    def note(layer: nn.Module, arguments: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel())

    hooks = [layer.register_forward_hook(note) for layer in module.modules()]
    was_training = module.training
    module.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        module(inputs[:1])
    module.train(was_training)
    for hook in hooks:
        hook.remove()
    return max(sizes)


class _Reader(nn.Module):
    """Lets ``functional_call``, which only calls modules, evaluate any function of a module."""

    def __init__(self, module: GrokkingModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, question: Callable[[Any], Tensor]) -> Tensor:
        """Evaluate the function on the module."""
        return question(self.module)
