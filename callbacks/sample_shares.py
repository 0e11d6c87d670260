"""Shares of all samples among processes, for evaluations."""

from typing import Any

import lightning.pytorch as pl
from jaxtyping import Shaped
from torch import Tensor

EVALUATION_CHUNK = 2048

Share = tuple[tuple[Tensor, Tensor], int]
"""Inputs and targets of some samples, and the number of leading ones that are training samples."""


def sample_shares(trainer: pl.Trainer) -> list[Share]:
    """This process's share of all samples, in chunks."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    samples = range(trainer.global_rank, len(data.inputs), trainer.world_size)
    shares = []
    for start in range(0, max(1, len(samples)), EVALUATION_CHUNK):
        chunk = samples[start : start + EVALUATION_CHUNK]
        mine = slice(chunk.start, chunk.stop, chunk.step)
        train = len(range(chunk.start, min(chunk.stop, data.num_train), chunk.step))
        shares.append(((data.inputs[mine], data.targets[mine]), train))
    return shares


def add_over_processes(trainer: pl.Trainer, counts: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """The sum over the shares of all processes."""
    if trainer.world_size == 1:
        return counts
    total: Tensor = trainer.strategy.reduce(counts, reduce_op="sum")
    return total
