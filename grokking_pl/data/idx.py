"""Reader for the IDX format, in which MNIST was published."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from grokking_pl.errors import UserError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> UInt8[Tensor, "..."]:
    """Read an IDX file of unsigned bytes, gzipped if its name ends in ``.gz``, else plain.

    The header is two zero bytes, the data type, the number of dimensions, and each dimension as a big-endian 32-bit
    number; the data follow.

    Raises:
        UserError: the file is missing, ends in ``.gz`` but is not gzipped, is truncated, has a wrong magic number, or
            its size differs from its header.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is empty or corrupt ({error}): download it again") from None
    if len(content) < 4:
        raise UserError(f"{path} is corrupt ({len(content)} bytes): download it again")
    if content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise UserError(f"{path} is not an IDX file of bytes: it starts with {content[:4].hex()}, expected 000008..")
    data_start = 4 + 4 * content[3]
    if len(content) < data_start:
        raise UserError(f"{path} is corrupt (it ends within its header): download it again")
    shape = np.frombuffer(content[4:data_start], dtype=">u4").tolist()
    if len(content) - data_start != math.prod(shape):
        raise UserError(
            f"{path} is corrupt (its header declares {'x'.join(map(str, shape))} bytes, "
            f"{len(content) - data_start} follow): download it again"
        )
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=data_start).reshape(shape).copy())
