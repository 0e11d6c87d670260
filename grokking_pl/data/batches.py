"""Batches cut from tensors on the device: no workers, no per-sample Python."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Inputs and targets, with samples along the first dimension."""

IndexStream = Callable[[int], Iterator[Tensor | slice]]
"""Maps the number of batches already consumed to the indices of all later batches."""


def shuffled(num_samples: int, batch_size: int, seed: int) -> IndexStream:
    """Repeated passes over the samples, each in a new order drawn from (seed, pass) alone.

    The last batch of a pass holds the remainder. Full batches are not shuffled.
    """
    batches_per_pass = -(-num_samples // batch_size)

    def stream(start: int) -> Iterator[Tensor | slice]:
        if batches_per_pass == 1:
            while True:
                yield slice(num_samples)
        number, skip = divmod(start, batches_per_pass)
        while True:
            order = torch.randperm(num_samples, generator=step_generator(seed, number))
            yield from order.split(batch_size)[skip:]
            number, skip = number + 1, 0

    return stream


def step_generator(*keys: int) -> torch.Generator:
    """A generator determined by these numbers alone, such as a seed and a step."""
    state = np.random.SeedSequence([key % 2**64 for key in keys]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) % 2**63)


class TrainingBatches:
    """The endless stream of training batches, cut into Lightning epochs of ``steps_per_epoch``.

    An epoch is a fixed number of steps, not a pass over the data, because a pass may be a single batch and Lightning's
    hooks cost milliseconds per epoch.

    Args:
        data: the training set.
        indices: indices of each batch.
        steps_per_epoch: batches per iteration.
        rank: number of this process.
        world_size: number of processes. Each takes every ``world_size``-th sample of a batch, or the whole batch if it
            has fewer samples than there are processes.
    """

    def __init__(
        self,
        data: Batch,
        indices: IndexStream,
        steps_per_epoch: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.data = data
        self.indices = indices
        self.steps_per_epoch = steps_per_epoch
        self.rank = rank
        self.world_size = world_size
        self.consumed = 0

    def __len__(self) -> int:
        return self.steps_per_epoch

    def state_dict(self) -> dict[str, int]:
        """The position in the stream, saved by Lightning in the checkpoint."""
        return {"consumed": self.consumed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume from a checkpoint's position."""
        self.consumed = state["consumed"]

    def __iter__(self) -> Iterator[Batch]:
        inputs, targets = self.data
        for index in self.indices(self.consumed):
            self.consumed += 1
            if isinstance(index, slice):
                mine = share(len(inputs), self.rank, self.world_size)
                yield inputs[mine], targets[mine]
            else:
                numbers = index[share(len(index), self.rank, self.world_size)].to(inputs.device, non_blocking=True)
                yield inputs[numbers], targets[numbers]


class EvaluationBatches:
    """One pass over a set in order, in chunks; each process sees its share, every sample exactly once.

    If the set has fewer samples than there are processes, each process sees all of it; means over processes are the
    same.

    Attributes:
        samples: indices, within the set, of this process's samples.
    """

    def __init__(self, data: Batch, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        size = len(data[0])
        mine = share(size, rank, world_size)
        self.samples = range(size)[mine]
        self.data = (data[0][mine], data[1][mine])
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.data[0]) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # Splitting an empty set would give one empty batch, with nan as its mean loss.
        if len(self.data[0]):
            yield from zip(self.data[0].split(self.batch_size), self.data[1].split(self.batch_size), strict=True)


def share(size: int, rank: int, world_size: int) -> slice:
    """This process's share of ``size`` samples; all of them if there are fewer samples than processes.

    A process without samples would have neither a loss nor a gradient.
    """
    return slice(None) if size < world_size else slice(rank, None, world_size)
