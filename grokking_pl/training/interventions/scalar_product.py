"""Scalar product of two tensors, as a custom operator for compilers and ``vmap``.

Inductor (PyTorch 2.14) fails to fuse a reduction over tensors that the same graph updates in place; it does not look
into custom operators.
"""

import torch
from jaxtyping import Float
from torch import Tensor


@torch.library.custom_op("grokking_pl::dot", mutates_args=())
def dot(a: Tensor, b: Tensor) -> Tensor:
    """The scalar product of two tensors of the same shape, over all entries."""
    return torch.dot(a.flatten(), b.flatten())


@dot.register_fake
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(())


@torch.library.custom_op("grokking_pl::dots", mutates_args=())
def dots(a: Tensor, b: Tensor) -> Tensor:
    """The same for many pairs of tensors, along the first dimension."""
    return torch.linalg.vecdot(a.reshape(len(a), -1), b.reshape(len(b), -1))


@dots.register_fake
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(len(a))


@dot.register_vmap
def _(info, in_dims, a: Tensor, b: Tensor) -> tuple[Float[Tensor, " members"], int]:  # type: ignore[no-untyped-def]
    a, b = (
        x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
        for x, dim in zip((a, b), in_dims, strict=True)
    )
    return dots(a, b), 0
