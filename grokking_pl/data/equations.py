"""Equations as token sequences, split as in the published program of Power et al. (2022)."""

import math
import sys
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes
from grokking_pl.tasks.equations import equations
from grokking_pl.tasks.table import OperationTable

LARGEST_AUTOMATIC_BATCH = 512


class EquationDataModule(TensorDataModule):
    """Equations ``<|eos|> a op b = c <|eos|>``: inputs are all tokens but the last, targets those after ``=``.

    Args:
        operator: operator by its published name, such as ``+``, ``**2+``, ``x**3+x*y_mod_97``, ``s5conj`` or ``sort``,
            or by the name of its data set, such as ``quad1`` or ``mix1``.
        train_percent: percentage of the equations used for training.
        batch_size: equations per training batch. "auto": half the training set, at most 512; "all"; a number below 1
            for a fraction of the training set, rounded up; or a number of equations.
        label_noise: number of the shuffled equations, counted from the first, that get the answer of a randomly drawn
            equation.
        operand_length: length of the lists of ``sort``, ``reverse`` and ``copy``.
        operand_count: number of random lists; null for all lists.
        modulus: modulus of the arithmetic and number of integer tokens.
        split_seed: seed of the shuffle before the split, and of the random lists; always 0 in the published program.
            Null for the run's seed.
        steps_per_epoch: training steps per Lightning epoch.
        seed: seed of the batch order; null for the run's seed.

    Attributes:
        equations: all equations with their true answers, in the order of the published program.
        order: indices of the shuffled equations; the first ``num_train`` are the training set.
        table: operation table, for binary operators.
        train_indices: indices of the training samples in the table.

    Raises:
        UserError: an option is out of range, or the operator is unknown.
    """

    table: OperationTable
    train_indices: Int[Tensor, " train"]

    def __init__(
        self,
        operator: str = "+",
        train_percent: float = 50.0,
        batch_size: int | float | Literal["auto", "all"] = "auto",
        label_noise: int = 0,
        operand_length: int | None = None,
        operand_count: int | None = None,
        modulus: int = 97,
        split_seed: int | None = 0,
        steps_per_epoch: int = 1000,
        seed: int | None = None,
    ) -> None:
        super().__init__(steps_per_epoch=steps_per_epoch, seed=seed)
        if not 0 < train_percent < 100:
            raise UserError(f"train_percent is {train_percent}; it must be above 0 and below 100")
        if isinstance(batch_size, str):
            if batch_size not in ("auto", "all"):
                raise UserError(f"batch_size is {batch_size!r}; give auto, all, a fraction or a number of equations")
        elif not (0 < batch_size < 1 or (batch_size >= 1 and batch_size == int(batch_size))):
            raise UserError(f"batch_size is {batch_size}; give auto, all, a fraction below 1 or a whole number")
        self._split_seed = split_seed
        self.train_percent = train_percent
        self._arguments = (operator, modulus, operand_length, operand_count)
        self.equations = equations(*self._arguments, self.split_seed)
        self.train_count = round(len(self.equations) * train_percent / 100)
        if not 1 <= self.train_count < len(self.equations):
            raise UserError(
                f"train_percent {train_percent} of the {len(self.equations)} equations leaves {self.train_count} for "
                "training; both training and validation need at least one"
            )
        if not 0 <= label_noise <= len(self.equations):
            raise UserError(
                f"label_noise is {label_noise}; give a number from 0 to the {len(self.equations)} equations"
            )
        self.batch_rule = batch_size
        self.batch_size = self._batch_size()
        self.label_noise = label_noise
        if self.equations.table is not None:
            self.table = self.equations.table

    @property
    def split_seed(self) -> int:
        """The seed of the split."""
        return self.run_seed if self._split_seed is None else self._split_seed

    def load(self) -> None:
        """Shuffle the equations and split each into input and target."""
        if self.train_percent < 1:
            rank_zero_only(print)(
                f"train_percent is {self.train_percent}: {self.train_count} of the {len(self.equations)} equations are "
                f"for training; for the fraction {self.train_percent} give {100 * self.train_percent:g}",
                file=sys.stderr,
            )
        if self._split_seed is None:  # random lists are redrawn with the run's seed
            self.equations = equations(*self._arguments, self.split_seed)
        answers, samples = self.equations.answers, len(self.equations)
        # NumPy's legacy generator shuffles rows exactly as it shuffles the published program's list of strings.
        legacy = np.random.RandomState(self.split_seed)
        order = np.arange(samples)
        legacy.shuffle(order)
        self.order = torch.from_numpy(order)
        tokens = self.equations.tokens[self.order]
        if self.label_noise:
            drawn = torch.from_numpy(legacy.choice(samples, size=self.label_noise))
            tokens[: self.label_noise, -answers:] = tokens[drawn, -answers:]
        self.num_train = self.train_count
        self.train_indices = self.order[: self.num_train]
        self.inputs, self.targets = tokens[:, :-1].contiguous(), tokens[:, -answers:].contiguous()
        self.class_targets = None
        vocabulary = len(self.equations.vocabulary)
        self.sizes = Sizes(
            inputs=self.inputs.shape[1],
            outputs=vocabulary,
            symbols=len(self.equations.symbols),
            tokens=vocabulary,
            first_symbol=self.equations.first_symbol,
            answers=answers,
        )

    def _batch_size(self) -> int:
        if self.batch_rule == "all":
            return self.train_count
        if isinstance(self.batch_rule, str):
            return min(LARGEST_AUTOMATIC_BATCH, math.ceil(self.train_count / 2))
        if self.batch_rule < 1:
            return math.ceil(self.train_count * self.batch_rule)
        return min(int(self.batch_rule), self.train_count)
