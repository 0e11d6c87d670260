"""The scalar product of two tensors, as one operation of its own for compilers and ``vmap``.

Inductor (PyTorch 2.14) fails to fuse a reduction over tensors that the same graph updates in place; what it does not
look into it leaves alone.
"""

import torch
from jaxtyping import Float
from torch import Tensor


@torch.library.custom_op("grokking_pl::dot", mutates_args=())
def dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the products of all entries of two tensors of one shape."""
    return torch.dot(a.flatten(), b.flatten())


@dot.register_fake
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(())


@torch.library.custom_op("grokking_pl::dots", mutates_args=())
def dots(a: Tensor, b: Tensor) -> Tensor:
    """Of many pairs of tensors at once, which the first dimension counts."""
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
