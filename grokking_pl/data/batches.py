"""Batches cut from tensors that already lie on the device: no workers, no per-item Python."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Inputs and targets, with the samples along the first dimension of both."""

IndexStream = Callable[[int], Iterator[Tensor | slice]]
"""Given the number of batches already consumed, the samples of every batch after them."""


def shuffled(num_samples: int, batch_size: int, seed: int) -> IndexStream:
    """Pass after pass over the samples, each in a new order drawn from (seed, pass) alone.

    The last batch of a pass holds what remains. A batch that holds every sample is not shuffled.
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
    """A generator that these numbers alone decide, such as a seed and a step."""
    state = np.random.SeedSequence([key % 2**64 for key in keys]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) % 2**63)


class TrainingBatches:
    """The endless stream of training batches, cut into Lightning epochs of ``steps_per_epoch``.

    An epoch of Lightning costs milliseconds of hooks, so it is a fixed number of steps and not a pass over what may
    be a single batch.

    Args:
        data: the whole training set.
        indices: which samples each batch takes.
        steps_per_epoch: length of one iteration.
        rank: this process's number.
        world_size: number of processes; each takes every ``world_size``-th sample of a batch, but all of a batch of
            fewer samples than there are processes, so that none has to average over nothing.
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
        """The position in the stream, which Lightning keeps in the checkpoint."""
        return {"consumed": self.consumed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a checkpoint's position."""
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
    """One pass over a set in order, in chunks; each process sees its own share, every sample exactly once.

    Of a set of fewer samples than there are processes each sees all, which leaves a mean over processes the same.

    Attributes:
        samples: the numbers, within the set, of the samples that this process sees.
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
        # Splitting no samples would give one empty batch, whose mean loss is not a number.
        if len(self.data[0]):
            yield from zip(self.data[0].split(self.batch_size), self.data[1].split(self.batch_size), strict=True)


def share(size: int, rank: int, world_size: int) -> slice:
    """Which of ``size`` samples a process takes; all of them if there are fewer than processes.

    A process without samples could give neither a loss nor a gradient.
    """
    return slice(None) if size < world_size else slice(rank, None, world_size)
