"""Gradient clipping for many networks at once, as a trainer clips each."""

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-6
"""Term that ``torch.nn.utils.clip_grad_norm_`` adds to the norm."""


def clip_gradients(gradients: dict[str, Tensor], clipping: str, most: Float[Tensor, " members"]) -> dict[str, Tensor]:
    """Clip the gradients of every member.

    Args:
        gradients: stacked gradients, by parameter name.
        clipping: ``norm`` to clip the norm of all gradients of a member, ``value`` to clip each entry.
        most: limit of each member; infinite for none.
    """
    if clipping == "value":
        return {name: value.clamp(-_like(most, value), _like(most, value)) for name, value in gradients.items()}
    squares = [value.flatten(1).square().sum(1) if value.dim() > 1 else value.square() for value in gradients.values()]
    norms = torch.stack(squares).sum(0).sqrt()
    factors = (most / (norms + EPSILON)).clamp(max=1)
    return {name: value * _like(factors, value) for name, value in gradients.items()}


def _like(numbers: Float[Tensor, " members"], stack: Float[Tensor, "members ..."]) -> Float[Tensor, "members ..."]:
    """One number per member, with as many dimensions as the stack."""
    return numbers.view(-1, *[1] * (stack.dim() - 1))
