"""Scalar products of tensors, for compilers and ``vmap``.

Inductor (PyTorch 2.14) fails to fuse a reduction over tensors with what updates them in place later in the same graph.
It does not look into custom operators, so one between the two keeps them apart. Each call of it costs about 20
microseconds, so one serves all products.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def dot(a: Tensor, b: Tensor) -> Float[Tensor, ""]:
    """The scalar product of two tensors of the same shape, over all entries, in their precision."""
    return dots([(a, b)])[0].to(a.dtype)


def dots(pairs: Sequence[tuple[Tensor, Tensor]]) -> Float[Tensor, " pairs"]:
    """The scalar products of pairs of tensors, the two of a pair of the same shape, in double precision."""
    return kept_apart(torch.stack([(a.double() * b).sum() for a, b in pairs]))


@torch.library.custom_op("grokking_pl::kept_apart", mutates_args=())
def kept_apart(value: Tensor) -> Tensor:
    """The same value; a compiler fuses nothing that computes it with anything that uses it."""
    return value.clone()


@kept_apart.register_fake
def _(value: Tensor) -> Tensor:
    return torch.empty_like(value)


@kept_apart.register_vmap
def _(info: Any, in_dims: Any, value: Tensor) -> tuple[Tensor, int | None]:
    return kept_apart(value), in_dims[0]
