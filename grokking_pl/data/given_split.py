"""Listed splits: training samples as numbers, or a file of numbers or of a mask."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from grokking_pl.data.splits import RECIPES
from grokking_pl.errors import UserError

TRUTH = {"true": 1.0, "false": 0.0}


def given_split(split: Sequence[int] | str | os.PathLike[str], samples: int) -> Int[Tensor, " train"]:
    """The training samples listed, of a table of ``samples`` samples, in the order given.

    Args:
        split: sample numbers, counted from 0; or the path of a file, NumPy's ``.npy`` or text whose entries are
            separated by commas, blanks or line ends. The file holds sample numbers or a mask: for each sample 1 or True
            if it is a training sample, else 0 or False.
        samples: size of the table.

    Raises:
        UserError: the file cannot be read or is a mask of the wrong length, a number is out of range or repeated, or no
            sample is left for training or validation.

    >>> given_split([2, 0], 3)
    tensor([2, 0])
    """
    if isinstance(split, str | os.PathLike):
        said = f"the split in {split}"
        numbers = _numbers(_read(Path(split)), samples, said)
    else:
        said = "the split"
        numbers = _whole(np.asarray(split), said)
    _check(numbers, samples, said)
    return torch.from_numpy(numbers)


def _read(path: Path) -> Shaped[np.ndarray, "..."]:
    try:
        if path.suffix == ".npy":
            array: np.ndarray = np.load(path, allow_pickle=False)
            return array
        words = path.read_text(encoding="utf-8-sig").replace(",", " ").split()
        return np.array([TRUTH[word.lower()] if word.lower() in TRUTH else float(word) for word in words])
    except FileNotFoundError:
        raise UserError(
            f"split is {str(path)!r}, which is neither a file nor one of the recipes {', '.join(RECIPES)}"
        ) from None
    except OSError as error:
        raise UserError(f"cannot read the split {path}: {error.strerror}; give a file of sample numbers") from None
    except (ValueError, EOFError) as error:
        raise UserError(
            f"the split in {path} cannot be read ({str(error).splitlines()[0]}): give the numbers of the training "
            "samples, or a mask of 0 and 1, as text or .npy"
        ) from None


def _numbers(entries: Shaped[np.ndarray, "..."], samples: int, said: str) -> Int[np.ndarray, " train"]:
    """The sample numbers in a file, from numbers or a mask."""
    # Three or more entries that are all 0 or 1 cannot be distinct sample numbers.
    is_mask = entries.dtype == np.bool_ or (entries.size > 2 and bool(np.isin(entries, (0, 1)).all()))
    if not is_mask:
        return _whole(entries, said)
    if entries.size != samples:
        raise UserError(f"{said} is a mask of {entries.size} samples; the table has {samples}: give one entry each")
    return entries.ravel().nonzero()[0].astype(np.int64)


def _whole(entries: Shaped[np.ndarray, "..."], said: str) -> Int[np.ndarray, " train"]:
    if entries.size == 0:
        raise UserError(f"{said} lists no training sample; give at least one")
    if entries.ndim > 1:
        raise UserError(f"{said} has shape {entries.shape}; give a list of the numbers of the training samples")
    if entries.dtype.kind not in "iuf" or not np.isfinite(entries).all() or (entries != np.floor(entries)).any():
        raise UserError(f"{said} must hold whole numbers only: the numbers of the training samples, counted from 0")
    return entries.astype(np.int64)


def _check(numbers: Int[np.ndarray, " train"], samples: int, said: str) -> None:
    outside = numbers[(numbers < 0) | (numbers >= samples)]
    if len(outside):
        raise UserError(f"{said} lists sample {outside[0]}; the table has samples 0 to {samples - 1}")
    values, counts = np.unique(numbers, return_counts=True)
    if counts.size and counts.max() > 1:
        raise UserError(f"{said} lists sample {values[counts > 1][0]} more than once; give each sample once")
    if not 1 <= len(numbers) < samples:
        raise UserError(
            f"{said} leaves {len(numbers)} of the {samples} samples for training and {samples - len(numbers)} for "
            "validation; both need at least one"
        )
