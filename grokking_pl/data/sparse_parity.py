"""Sparse parity: the parity of k of n bits, with a fixed training set or fresh samples at every step."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.data.batches import Batch, TrainingBatches, share, step_generator
from grokking_pl.data.datamodule import TensorDataModule, require_positive
from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes

Targets = Literal["class", "one_hot", "sign"]


class SparseParity(TensorDataModule):
    """Vectors of n entries +1 and -1 whose class is the parity of the first k: 0 if their product is +1, else 1.

    The other n - k entries are irrelevant. Training and validation samples are uniform and all distinct. Which entries
    are relevant does not matter to a network whose initial weights do not depend on position.

    Args:
        bits: number n of entries.
        relevant: number k of relevant entries.
        train_samples: number of training samples.
        val_samples: number of validation samples.
        targets: "class" numbers, for cross entropy; or for the mean squared error their "one_hot" vectors, or the
            "sign" of the product as a single output.
        batch_size: samples per training batch; null for the full training set.
        steps_per_epoch: training steps per Lightning epoch.
        seed: seed of the samples, the batch order and the corrupted labels; null for the run's seed.
        corrupt_fraction: fraction of the training samples that get the other class.

    Raises:
        UserError: a number is not positive, relevant exceeds bits, or there are fewer vectors than samples.

    Source: B. Barak et al., Hidden progress in deep learning, arXiv 2207.08799.
    """

    def __init__(
        self,
        bits: int = 40,
        relevant: int = 3,
        train_samples: int = 1000,
        val_samples: int = 1000,
        targets: Targets = "class",
        batch_size: int | None = 32,
        steps_per_epoch: int = 1000,
        seed: int | None = None,
        corrupt_fraction: float = 0.0,
    ) -> None:
        super().__init__(batch_size, steps_per_epoch, seed, corrupt_fraction)
        if not 1 <= relevant <= bits:
            raise UserError(f"relevant is {relevant} and bits {bits}; give at least 1 relevant bit, and at most all")
        require_positive(train_samples=train_samples, val_samples=val_samples)
        if train_samples + val_samples > 2**bits:
            raise UserError(
                f"train_samples {train_samples} and val_samples {val_samples} are more than the {2**bits} vectors of "
                f"{bits} bits: give fewer"
            )
        self.bits = bits
        self.relevant = relevant
        self.train_samples = train_samples
        self.val_samples = val_samples
        self.target_kind = targets

    def load(self) -> None:
        """Draw the samples, the training samples first."""
        generator = torch.Generator().manual_seed(self.seed)
        self.num_train = self.train_samples
        self.class_targets = {
            "class": None,
            "one_hot": torch.eye(2),
            "sign": torch.tensor([[1.0], [-1.0]]),
        }[self.target_kind]
        self.sizes = Sizes(inputs=self.bits, outputs=1 if self.target_kind == "sign" else 2)
        self.inputs = distinct_signs(self.train_samples + self.val_samples, self.bits, generator)
        self.targets = self.targets_of(self.inputs)

    def targets_of(self, inputs: Float[Tensor, "samples bits"]) -> Tensor:
        """The targets of the given inputs."""
        classes = (inputs[:, : self.relevant].prod(1) < 0).long()
        return classes if self.class_targets is None else self.class_targets[classes]


class OnlineSparseParity(SparseParity):
    """Sparse parity with fresh samples at every step; nothing can be memorised.

    Training accuracy is measured on a set of ``train_samples`` that is never trained on. A batch of runs holds all
    samples in memory, so `grok diagram` refuses this class; `SparseParity` with steps times batch size samples is
    equivalent there.

    Args:
        bits: number n of entries.
        relevant: number k of those that matter.
        train_samples: number of samples on which the training accuracy is measured.
        val_samples: number of validation samples.
        targets: "class" numbers, for cross entropy; or for the mean squared error their "one_hot" vectors, or the
            "sign" of the product as a single output.
        batch_size: samples drawn at every step.
        steps_per_epoch: training steps per Lightning epoch.
        seed: seed of all samples; null for the run's seed.

    Raises:
        UserError: as for `SparseParity`, or batch_size is null.
    """

    def __init__(
        self,
        bits: int = 40,
        relevant: int = 3,
        train_samples: int = 1000,
        val_samples: int = 1000,
        targets: Targets = "class",
        batch_size: int | None = 32,
        steps_per_epoch: int = 1000,
        seed: int | None = None,
    ) -> None:
        super().__init__(bits, relevant, train_samples, val_samples, targets, batch_size, steps_per_epoch, seed)
        if batch_size is None:
            raise UserError("batch_size is null; give the number of samples to draw at every step, such as 32")
        self.drawn = batch_size

    def train_dataloader(self) -> TrainingBatches:
        """The stream of fresh batches."""
        return _NewSamples(self, *self._process())


class _NewSamples(TrainingBatches):
    """Batches drawn from (seed, step) alone, so that a resumed run draws the same ones."""

    def __init__(self, parity: OnlineSparseParity, rank: int, world_size: int) -> None:
        super().__init__(parity.train_set, parity.index_stream(), parity.steps_per_epoch, rank, world_size)
        self.parity = parity

    def __iter__(self) -> Iterator[Batch]:
        while True:
            generator = step_generator(self.parity.seed, self.consumed)
            self.consumed += 1
            bits = torch.randint(0, 2, (self.parity.drawn, self.parity.bits), generator=generator)
            mine = share(len(bits), self.rank, self.world_size)
            inputs = (1 - 2 * bits[mine]).float()
            device = self.data[0].device
            yield inputs.to(device), self.parity.targets_of(inputs).to(device)


def distinct_signs(count: int, bits: int, generator: torch.Generator) -> Float[Tensor, "count bits"]:
    """``count`` distinct vectors of +1 and -1, drawn uniformly."""
    if 2**bits <= 4 * count:
        numbers = torch.randperm(2**bits, generator=generator)[:count]
        drawn = numbers.unsqueeze(1) >> torch.arange(bits) & 1
    else:
        drawn = torch.empty(0, bits, dtype=torch.int64)
        while len(drawn) < count:  # at most a quarter of all vectors, so few are drawn twice
            drawn = torch.cat([drawn, torch.randint(0, 2, (count, bits), generator=generator)])
            drawn = drawn[_first_occurrences(drawn)]
    return (1 - 2 * drawn[:count]).float()


def _first_occurrences(rows: Int[Tensor, "rows bits"]) -> Int[Tensor, " distinct"]:
    packed = np.packbits(rows.to(torch.uint8).numpy(), axis=1)
    _, first = np.unique(packed, axis=0, return_index=True)
    return torch.from_numpy(np.sort(first))
