"""Predictions of ``grok predict``: one row per sample, from any number of processes."""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch.distributed
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DistributedSampler

from grokking_pl.errors import UserError
from grokking_pl.runs.files import write_table, writing

Row = dict[str, Any]


def check_not_written(path: Path) -> None:
    """Check that no predictions would be overwritten.

    Raises:
        UserError: there are predictions already.
    """
    if path.exists():
        raise UserError(f"{path} already holds predictions: move or delete it to predict again")


def write_predictions(batches: Any, trainer: Trainer, path: Path) -> None:
    """Write the index of each sample and the result of the module's ``predict_step``.

    A tensor whose first dimension is the samples becomes the column ``prediction``; a dictionary of such tensors, one
    column per name. The first process writes all rows, in the order of the samples.

    Args:
        batches: results on this process.
        trainer: trainer that returned them.
        path: output file.

    Raises:
        UserError: ``predict_step`` returns something else, or the file is not writable.
    """
    numbers = _numbers(trainer.predict_dataloaders) if trainer.world_size > 1 else None
    shares = gather((numbers, batches or []), trainer.world_size, trainer.is_global_zero)
    if not trainer.is_global_zero:
        return
    by_number = dict(chain.from_iterable(_numbered_rows(*share) for share in shares))
    rows = [{"sample": number, **by_number[number]} for number in sorted(by_number)]
    columns = list(rows[0]) if rows else ["sample", "prediction"]
    with writing(path, "make room, or choose another folder with --run_dir"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, columns, rows)
    print(f"{len(rows)} predictions in {path}")


def gather(mine: Any, world_size: int, is_first: bool) -> list[Any]:
    """The objects of all processes, in order; on the first process only."""
    if world_size == 1:
        return [mine]
    gathered: list[Any] | None = [None] * world_size if is_first else None
    torch.distributed.gather_object(mine, gathered)
    return gathered or []


def _numbers(loader: Any) -> list[int] | None:
    """The indices of a loader's samples on this process; None if every process gets all samples.

    Loaders that share samples have ``samples`` or a distributed sampler.
    """
    if hasattr(loader, "samples"):
        return list(loader.samples)
    sampler = getattr(getattr(loader, "batch_sampler", None), "sampler", None)
    return list(sampler) if isinstance(sampler, DistributedSampler) else None


def _numbered_rows(numbers: list[int] | None, batches: Any) -> Iterator[tuple[int, Row]]:
    rows = list(_rows(batches))
    if numbers is None:
        return enumerate(rows)
    if len(rows) > len(numbers):
        raise UserError(
            f"predict_step returns {len(rows)} rows for {len(numbers)} samples, so rows of several processes "
            "cannot be ordered: predict with --trainer.devices 1"
        )
    return zip(numbers, rows, strict=False)  # may be fewer, with limit_predict_batches


def _rows(batches: Any) -> Iterator[Row]:
    for batch in batches:
        named = batch if isinstance(batch, Mapping) else {"prediction": batch}
        if not all(isinstance(value, Tensor) and value.ndim for value in named.values()):
            kinds = ", ".join(sorted({type(value).__name__ for value in named.values()}))
            raise UserError(
                f"predict_step returns {kinds}: return a tensor whose first dimension is the samples, or a dictionary "
                "of such tensors"
            )
        values = {name: value.tolist() for name, value in named.items()}
        for row in zip(*values.values(), strict=True):
            yield dict(zip(values, row, strict=True))
