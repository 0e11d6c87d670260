"""Reading the IDX format in which MNIST was published."""

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
    """Read an IDX file of unsigned bytes, gzipped or, without the ending ``.gz``, plain.

    The header is two zero bytes, the type of the data, the number of dimensions, and each dimension as a big-endian
    32-bit number; the data follow.

    Raises:
        UserError: the file is missing, is no gzip file though it is called so, is cut short, has another magic number,
            or holds another number of bytes than its header says.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is empty or corrupt ({error}): fetch it again") from None
    if len(content) < 4:
        raise UserError(f"{path} is corrupt: it holds {len(content)} bytes: fetch it again")
    if content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise UserError(f"{path} is not an IDX file of bytes: it starts with {content[:4].hex()}, expected 000008..")
    data_start = 4 + 4 * content[3]
    if len(content) < data_start:
        raise UserError(f"{path} is corrupt: it ends within its header: fetch it again")
    shape = np.frombuffer(content[4:data_start], dtype=">u4").tolist()
    if len(content) - data_start != math.prod(shape):
        raise UserError(
            f"{path} is corrupt: its header announces {'x'.join(map(str, shape))} bytes, "
            f"{len(content) - data_start} follow: fetch it again"
        )
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=data_start).reshape(shape).copy())
