"""Algorithmic data: a table of samples (a, b) -> c, split into training and validation (section 2 of the paper)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.data.batches import IndexStream, shuffled
from grokking_pl.data.datamodule import TensorDataModule, require_positive
from grokking_pl.data.given_split import given_split
from grokking_pl.data.splits import RECIPES, Draws, Request, SplitRecipe, target_vectors, training_count
from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes
from grokking_pl.tasks.table import OperationTable


class AlgorithmicDataModule(TensorDataModule):
    """Pairs of symbols and the results of an operation on them.

    Inputs are pairs (a, b) of symbol numbers. Targets are class numbers, their one-hot vectors, or for regression one
    fixed random vector per result, with independent normal entries.

    Args:
        task: operation table, from a function such as grokking_pl.tasks.addition.
        train_fraction: fraction of the samples used for training.
        train_count: number of samples used for training; give either this, train_fraction, or a split that lists them.
        targets: "vectors" (regression), "class" (classification) or "one_hot" (regression on class vectors).
        target_dim: dimension of the target vectors.
        target_scale: standard deviation of their entries.
        classes: number of classes and outputs; null for the number of results. Extra classes are never correct, such as
            the "=" that Nanda et al. (2023) count as a class.
        batch_size: samples per training batch; null for the full training set.
        split: training samples: a recipe, a list of sample numbers, or a file of these or of a mask. "torch_randperm":
            target vectors, then a permutation, from Torch's generator. "numpy_choice": NumPy's legacy generator.
            "python_shuffle": Python's generator, as in Nanda et al. "published": targets, split and batches from
            NumPy's legacy generator, in the order of the authors' toy; full batches are not reordered, which changes
            gradients only by rounding. "published_long": the same for their 10^5-step script. "published_pairs": their
            transformer and figure 2, with samples 0 and 1 always in the training set, which is in ascending order.
        steps_per_epoch: training steps per Lightning epoch.
        seed: seed of targets, split, batch order and corrupted labels; null for the run's seed.
        corrupt_fraction: fraction of the training samples that get the target of another result.

    Attributes:
        table: the operation.
        train_indices: indices of the training samples in the table, in the order drawn.

    Raises:
        UserError: not exactly one of train_fraction, train_count and a listed split is given, it is out of range, or it
            leaves no sample for training or validation; or a listed split cannot be read or does not fit the table.
    """

    table: OperationTable
    train_indices: Int[Tensor, " train"]

    def __init__(
        self,
        task: OperationTable,
        train_fraction: float | None = None,
        train_count: int | None = None,
        targets: Literal["vectors", "class", "one_hot"] = "vectors",
        target_dim: int = 30,
        target_scale: float = 1.0,
        classes: int | None = None,
        batch_size: int | None = None,
        # The parser accepts any text, so that `given_split` can reject a wrong one with a clear message.
        split: list[int] | SplitRecipe | str = "torch_randperm",
        steps_per_epoch: int = 1000,
        seed: int | None = None,
        corrupt_fraction: float = 0.0,
    ) -> None:
        super().__init__(batch_size, steps_per_epoch, seed, corrupt_fraction)
        if target_dim < 1 or not 0 < target_scale < float("inf"):
            raise UserError(f"target_dim is {target_dim} and target_scale {target_scale}; both must be positive")
        if classes is not None and (targets == "vectors" or classes < task.num_results):
            raise UserError(
                f"classes is {classes} and targets {targets}; give at least the {task.num_results} results of "
                f"{task.name}, with targets class or one_hot"
            )
        self.table = task
        self.target_kind = targets
        self.target_dim = target_dim
        self.target_scale = target_scale
        self.classes = task.num_results if classes is None else classes
        self.split = split
        self._draw: Callable[[Request], Draws]
        if isinstance(split, str) and split in RECIPES:
            self._count = _count(split, train_fraction, train_count, len(task))
            self._draw = RECIPES[split]
        elif train_fraction is not None or train_count is not None:
            raise UserError(
                f"the split is given, but also train_fraction {train_fraction} and train_count {train_count}; set both "
                "to null"
            )
        else:
            given = given_split(split, len(task))
            self._count = len(given)
            self._draw = partial(_drawn_with, given)

    def load(self) -> None:
        """Draw the targets and the split, and put the training samples first."""
        samples, results = len(self.table), self.table.num_results
        # Programs that draw target vectors for classification too give them one entry per class.
        dimension = self.target_dim if self.target_kind == "vectors" else results
        draws = self._draw(Request(self.seed, samples, self._count, self.table.p, results, dimension))
        is_val = torch.ones(samples, dtype=torch.bool)
        is_val[draws.train] = False
        if not is_val.any():
            raise UserError(f"split {self.split} leaves none of the {samples} samples for validation; train on fewer")
        order = torch.cat([draws.train, is_val.nonzero().squeeze(1)])
        labels = self.table.c[order]
        self.train_indices = draws.train
        self.num_train = len(draws.train)
        self.inputs = torch.stack([self.table.a[order], self.table.b[order]], 1)
        self.class_targets = {
            "vectors": draws.vectors * self.target_scale,
            "one_hot": torch.eye(self.classes),
            "class": None,
        }[self.target_kind]
        self.targets = labels if self.class_targets is None else self.class_targets[labels]
        outputs = self.classes if self.class_targets is None else self.class_targets.shape[1]
        self.sizes = Sizes(inputs=2, outputs=outputs, symbols=self.table.p)
        self._batches = draws.batches

    def index_stream(self) -> IndexStream:
        """The indices of each batch's training samples."""
        size = min(self.batch_size or self.num_train, self.num_train)
        if self._batches is None or size == self.num_train:
            return shuffled(self.num_train, size, self.seed)

        def stream(start: int) -> Iterator[Tensor | slice]:
            legacy = np.random.RandomState()
            legacy.set_state(self._batches)
            for _ in range(start):
                legacy.choice(self.num_train, size, replace=False)
            while True:
                yield torch.from_numpy(legacy.choice(self.num_train, size, replace=False))

        return stream


def _count(recipe: str, fraction: float | None, count: int | None, samples: int) -> int:
    """The number of training samples requested."""
    if (fraction is None) == (count is None):
        raise UserError(f"train_fraction is {fraction} and train_count {count}; give one and set the other to null")
    if fraction is not None:
        if not 0 < fraction < 1:
            raise UserError(f"train_fraction is {fraction}; it must be above 0 and below 1")
        count = training_count(recipe, fraction, samples)
        if not 1 <= count < samples:
            raise UserError(
                f"train_fraction {fraction} of the {samples} samples leaves {count} for training and {samples - count} "
                "for validation; both need at least one"
            )
        return count
    assert count is not None
    require_positive(train_count=count)
    if count > samples:
        raise UserError(f"train_count is {count}, but there are only {samples} samples")
    if count == samples:
        raise UserError(f"train_count is {count}, which leaves none of the {samples} samples for validation")
    return count


def _drawn_with(train: Int[Tensor, " train"], request: Request) -> Draws:
    """The draws for a listed split."""
    return Draws(train, target_vectors(request))
