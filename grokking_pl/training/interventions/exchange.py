"""In-place replacement of a buffer's row, as a custom operator for compilers and ``vmap``.

Written as indexing, it makes a compiled step copy the whole buffer.
"""

from typing import Any

import torch
from torch import Tensor


@torch.library.custom_op("grokking_pl::exchange", mutates_args=("buffer",))
def exchange(buffer: Tensor, row: Tensor, place: Tensor) -> Tensor:
    """Replace the row at index ``place`` of a buffer (rows x n) by ``row`` (n), and return the old one."""
    index = place.reshape(1)
    old = buffer.index_select(0, index)[0]
    buffer.index_copy_(0, index, row[None])
    return old


@exchange.register_fake
def _(buffer: Tensor, row: Tensor, place: Tensor) -> Tensor:
    return row.new_empty(row.shape)


@torch.library.custom_op("grokking_pl::exchanges", mutates_args=("buffers",))
def exchanges(buffers: Tensor, rows: Tensor, places: Tensor) -> Tensor:
    """The same for many buffers, along the first dimension."""
    members = torch.arange(len(buffers), device=buffers.device)
    old = buffers[members, places]
    buffers[members, places] = rows
    return old


@exchanges.register_fake
def _(buffers: Tensor, rows: Tensor, places: Tensor) -> Tensor:
    return rows.new_empty(rows.shape)


@exchange.register_vmap
def _(info: Any, in_dims: Any, buffer: Tensor, row: Tensor, place: Tensor) -> tuple[Tensor, int]:
    row, place = (
        x.expand(info.batch_size, *x.shape).contiguous() if dim is None else x.movedim(dim, 0)
        for x, dim in zip((row, place), in_dims[1:], strict=True)
    )
    return exchanges(buffer.movedim(in_dims[0], 0), row, place), 0
