"""Algorithmic data: a table of samples (a, b) -> c, split in training and validation (section 2 of the paper)."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.data.batches import IndexStream, shuffled
from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes
from grokking_pl.tasks.table import OperationTable


class AlgorithmicDataModule(TensorDataModule):
    """Pairs of symbols and the result of an operation on them.

    Inputs are pairs (a, b) of symbol numbers. Targets are class numbers, or in regression one fixed random vector for
    each result, with independent normal entries.

    Args:
        task: the table of the operation, from a function such as grokking_pl.tasks.addition.
        train_fraction: fraction of the samples used for training.
        train_count: number of samples used for training; give this or train_fraction.
        targets: "vectors" (regression) or "class" (classification).
        target_dim: dimension of the target vectors.
        target_scale: standard deviation of their entries.
        batch_size: samples in a training batch; null for all of them at every step.
        split_rng: generator of targets and split. "numpy_legacy" draws targets, split and batches from NumPy's legacy
            generator in the order of the authors' published code; a batch of all training samples is not reordered,
            which changes no gradient but for rounding.
        steps_per_epoch: training steps in what Lightning calls an epoch.
        seed: seed of targets, split and order of batches; null takes that of the run.

    Attributes:
        table: the operation.
        train_indices: the table's samples that are for training, in the order in which they were drawn.

    Raises:
        UserError: not exactly one of fraction and count is given, it is out of range, or it leaves no sample for
            training or none for validation.
    """

    table: OperationTable
    train_indices: Int[Tensor, " train"]

    def __init__(
        self,
        task: OperationTable,
        train_fraction: float | None = None,
        train_count: int | None = None,
        targets: Literal["vectors", "class"] = "vectors",
        target_dim: int = 30,
        target_scale: float = 1.0,
        batch_size: int | None = None,
        split_rng: Literal["torch", "numpy_legacy"] = "torch",
        steps_per_epoch: int = 1000,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, steps_per_epoch=steps_per_epoch, seed=seed)
        if (train_fraction is None) == (train_count is None):
            raise UserError(
                f"train_fraction is {train_fraction} and train_count {train_count}; "
                "give the one and set the other to null"
            )
        samples = len(task)
        if train_fraction is not None:
            if not 0 < train_fraction < 1:
                raise UserError(f"train_fraction is {train_fraction}; it must be above 0 and below 1")
            count, said = round(train_fraction * samples), f"train_fraction {train_fraction}"
        else:
            assert train_count is not None
            count, said = train_count, f"train_count {train_count}"
        if not 1 <= count < samples:
            raise UserError(
                f"{said} of the {samples} samples leaves {max(0, count)} for training and "
                f"{max(0, samples - max(0, count))} for validation; both need at least one"
            )
        if target_dim < 1 or not 0 < target_scale < float("inf"):
            raise UserError(f"target_dim is {target_dim} and target_scale {target_scale}; both must be positive")
        self.table = task
        self.train_count = count
        self.target_kind = targets
        self.target_dim = target_dim
        self.target_scale = target_scale
        self.split_rng = split_rng

    def load(self) -> None:
        """Draw the targets and the split, and put the training samples first."""
        classes, samples = self.table.num_results, len(self.table)
        dimension = self.target_dim if self.target_kind == "vectors" else classes
        # The published code draws target vectors for classification too.
        if self.split_rng == "numpy_legacy":
            legacy = np.random.RandomState(self.seed)
            vectors = torch.from_numpy(legacy.normal(0, 1, size=(classes, dimension))).float()
            train = torch.from_numpy(legacy.choice(samples, self.train_count, replace=False))
            self._legacy_state = legacy.get_state()
        else:
            generator = torch.Generator().manual_seed(self.seed)
            vectors = torch.randn(classes, dimension, generator=generator)
            train = torch.randperm(samples, generator=generator)[: self.train_count]
        is_val = torch.ones(samples, dtype=torch.bool)
        is_val[train] = False
        order = torch.cat([train, is_val.nonzero().squeeze(1)])
        labels = self.table.c[order]
        self.train_indices = train
        self.num_train = self.train_count
        self.inputs = torch.stack([self.table.a[order], self.table.b[order]], 1)
        self.class_targets = vectors * self.target_scale if self.target_kind == "vectors" else None
        self.targets = labels if self.class_targets is None else self.class_targets[labels]
        self.sizes = Sizes(inputs=2, outputs=dimension, symbols=self.table.p)

    def index_stream(self) -> IndexStream:
        """Which training samples each step's batch takes."""
        size = min(self.batch_size or self.num_train, self.num_train)
        if self.split_rng == "torch" or size == self.num_train:
            return shuffled(self.num_train, size, self.seed)

        def stream(start: int):
            legacy = np.random.RandomState()
            legacy.set_state(self._legacy_state)
            for _ in range(start):
                legacy.choice(self.num_train, size, replace=False)
            while True:
                yield torch.from_numpy(legacy.choice(self.num_train, size, replace=False))

        return stream
