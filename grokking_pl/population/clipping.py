"""Clipping of the gradients of many networks at once, as a trainer clips those of each."""

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-6
"""What ``torch.nn.utils.clip_grad_norm_`` adds to a norm."""


def clip_gradients(gradients: dict[str, Tensor], clipping: str, most: Float[Tensor, " members"]) -> dict[str, Tensor]:
    """The gradients of every member, made so short that they pass no limit.

    Args:
        gradients: stacked, by the name of their parameter.
        clipping: what is limited: the ``norm`` of all gradients of a member, or each ``value``.
        most: the limit of each member; infinite for none.
    """
    if clipping == "value":
        return {name: value.clamp(-_like(most, value), _like(most, value)) for name, value in gradients.items()}
    squares = [value.flatten(1).square().sum(1) if value.dim() > 1 else value.square() for value in gradients.values()]
    norms = torch.stack(squares).sum(0).sqrt()
    factors = (most / (norms + EPSILON)).clamp(max=1)
    return {name: value * _like(factors, value) for name, value in gradients.items()}


def _like(numbers: Float[Tensor, " members"], stack: Float[Tensor, "members ..."]) -> Float[Tensor, "members ..."]:
    """A number of each member with as many dimensions as a stack."""
    return numbers.view(-1, *[1] * (stack.dim() - 1))
