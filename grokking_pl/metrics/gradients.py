"""The norm of a gradient and the angle between two, over all weight tensors together."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Tensors = Sequence[Tensor | None]
"""One tensor per weight; None counts as zeros."""


def total_norm(tensors: Tensors) -> Float[Tensor, ""]:
    """The Euclidean norm of the tensors as one vector, in at least single precision.

    Cost: 0.1 ms on one core for 226 000 weights.

    >>> total_norm([torch.tensor([3.0]), None, torch.tensor([[4.0]])])
    tensor(5.)
    """
    return _sum_of_products(tensors, tensors).sqrt()


def cosine(first: Tensors, second: Tensors) -> Float[Tensor, ""]:
    """The cosine of the angle between two lists of tensors of the same shapes; nan if either is zero.

    For gradients of successive steps it is near 1 if training moves in a straight line, and near -1 if it oscillates
    between the sides of a valley. Cost: 0.5 ms on one core for 226 000 weights.

    >>> cosine([torch.tensor([1.0]), torch.tensor([0.0])], [torch.tensor([1.0]), torch.tensor([1.0])])
    tensor(0.7071)
    """
    return _sum_of_products(first, second) / (total_norm(first) * total_norm(second))


def _sum_of_products(first: Tensors, second: Tensors) -> Float[Tensor, ""]:
    products = [
        (a.detach().float() * b.detach().float()).sum() if a.dtype != torch.float64 else (a.detach() * b.detach()).sum()
        for a, b in zip(first, second, strict=True)
        if a is not None and b is not None
    ]
    return torch.stack(products).sum() if products else torch.zeros(())
