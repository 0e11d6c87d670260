"""Sparse parity: the parity of k of n bits, from a fixed training set or from new samples at every step."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.data.batches import Batch, TrainingBatches, share, step_generator
from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes

Targets = Literal["class", "one_hot", "sign"]


class SparseParity(TensorDataModule):
    """Vectors of n entries +1 and -1 whose class is the parity of the first k: 0 if their product is +1, else 1.

    The other n - k entries say nothing. Training and validation samples are uniform, and no sample occurs a second
    time. Which entries are relevant makes no difference to a network whose initial weights do not depend on the place.

    Args:
        bits: number n of entries.
        relevant: number k of those that matter.
        train_samples: number of training samples.
        val_samples: number of validation samples.
        targets: "class" numbers, for cross entropy; for the mean squared error their "one_hot" vectors, or as one
            output the "sign" of the product.
        batch_size: samples in a training batch; null for all of them at every step.
        steps_per_epoch: training steps in what Lightning calls an epoch.
        seed: seed of the samples, the order of batches and the corrupted labels; null takes that of the run.
        corrupt_fraction: fraction of the training samples that get the other class.

    Raises:
        UserError: a number is not positive, more bits are relevant than there are, or there are fewer vectors than
            samples.

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
        check_samples(train_samples, val_samples)
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
        """The targets of these samples."""
        classes = (inputs[:, : self.relevant].prod(1) < 0).long()
        return classes if self.class_targets is None else self.class_targets[classes]


class OnlineSparseParity(SparseParity):
    """Sparse parity with new samples at every step; nothing can be memorised.

    What counts as the training set in accuracies is a set of ``train_samples`` that is never trained on. Populations
    hold all samples, so `grok diagram` refuses it; there, `SparseParity` with steps times batch size samples is the
    same.

    Args:
        bits: number n of entries.
        relevant: number k of those that matter.
        train_samples: number of samples on which the training accuracy is measured.
        val_samples: number of validation samples.
        targets: "class" numbers, for cross entropy; for the mean squared error their "one_hot" vectors, or as one
            output the "sign" of the product.
        batch_size: samples drawn at every step.
        steps_per_epoch: training steps in what Lightning calls an epoch.
        seed: seed of all samples; null takes that of the run.

    Raises:
        UserError: batch_size is null, or as for `SparseParity`.
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
            raise UserError("batch_size is null; give the number of samples that are drawn at every step, such as 32")
        self.drawn = batch_size

    def train_dataloader(self) -> TrainingBatches:
        """The stream of newly drawn batches."""
        return _NewSamples(self, *self._process())


class _NewSamples(TrainingBatches):
    """Batches drawn from (seed, step) alone, so that a resumed run draws on as if it had not been interrupted."""

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


def check_samples(train_samples: int, val_samples: int) -> None:
    """Raise a `UserError` unless there are samples for both sets."""
    for name, value in (("train_samples", train_samples), ("val_samples", val_samples)):
        if value < 1:
            raise UserError(f"{name} is {value}; it must be at least 1")


def distinct_signs(count: int, bits: int, generator: torch.Generator) -> Float[Tensor, "count bits"]:
    """So many different vectors of +1 and -1, uniformly drawn without repetition."""
    if 2**bits <= 4 * count:
        numbers = torch.randperm(2**bits, generator=generator)[:count]
        drawn = numbers.unsqueeze(1) >> torch.arange(bits) & 1
    else:
        drawn = torch.empty(0, bits, dtype=torch.int64)
        while len(drawn) < count:  # at most a quarter of all vectors: few are drawn a second time
            drawn = torch.cat([drawn, torch.randint(0, 2, (count, bits), generator=generator)])
            drawn = drawn[_first_occurrences(drawn)]
    return (1 - 2 * drawn[:count]).float()


def _first_occurrences(rows: Int[Tensor, "rows bits"]) -> Int[Tensor, " distinct"]:
    packed = np.packbits(rows.to(torch.uint8).numpy(), axis=1)
    _, first = np.unique(packed, axis=0, return_index=True)
    return torch.from_numpy(np.sort(first))
