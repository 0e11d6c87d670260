"""A study of the effective theory for one task."""

from dataclasses import dataclass, field

import pandas as pd
import torch

from grokking_pl.errors import UserError
from grokking_pl.tasks import OperationTable
from grokking_pl.theory.critical_fraction import (
    CriticalFraction,
    check_numbers_of_symbols,
    critical_fraction,
    critical_fraction_by_p,
)
from grokking_pl.theory.prediction import Prediction, predict
from grokking_pl.theory.rates import rate_quantiles, sample_rates
from grokking_pl.theory.spectrum import check_learning_rate
from grokking_pl.theory.training_sets import check_size, check_trials, size_of_fraction
from grokking_pl.theory.unique_structure import critical_sizes, from_critical_sizes

MOST_SIZES = 60


@dataclass
class TheoryStudy:
    """A study of the effective theory for one task: what `grok theory` computes.

    Args:
        task: table of a commutative operation, from a function such as grokking_pl.tasks.addition.
        train_counts: training set sizes for rates and steps; empty for all sizes, or for 60 evenly spaced sizes if the
            table is larger. The probability of a unique structure is always computed for every size.
        train_fractions: further training set sizes, as fractions of the table.
        trials: random training sets per size for the probability of a unique structure.
        rate_trials: random training sets per size for rates and steps.
        learning_rate: learning rate eta of the embeddings, for the predicted steps 1 / (lambda_3 eta).
        symbols: numbers p of symbols for which to compute the critical fraction of addition; empty for none.
        symbol_trials: random orders of the samples per p, fewer for large p.
        seed: seed of all random training sets.
        device: device to compute on: cpu, cuda, cuda:1, ...
    """

    task: OperationTable
    train_counts: list[int] = field(default_factory=list)
    train_fractions: list[float] = field(default_factory=list)
    trials: int = 10_000
    rate_trials: int = 1000
    learning_rate: float = 1e-3
    symbols: list[int] = field(default_factory=list)
    symbol_trials: int = 1000
    seed: int = 0
    device: str = "cpu"

    def sizes(self) -> list[int]:
        """The training set sizes, ascending.

        Raises:
            UserError: a size or fraction is out of range.
        """
        sizes = {*self.train_counts, *(size_of_fraction(self.task, fraction) for fraction in self.train_fractions)}
        for size in sizes:
            check_size(self.task, size)
        if not sizes:
            samples, spaced = len(self.task), min(len(self.task), MOST_SIZES)
            sizes = {round(samples * (k + 1) / spaced) for k in range(spaced)}
        return sorted(sizes)

    def run(self) -> "TheoryResults":
        """Compute everything.

        Raises:
            UserError: the task does not commute, or a number is out of range.
        """
        sizes = self.sizes()
        check_learning_rate(self.learning_rate)
        for trials in (self.trials, self.rate_trials, self.symbol_trials):
            check_trials(trials)
        check_numbers_of_symbols(self.symbols)
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}; it must be at least 0")
        kind = self.device.split(":")[0]
        if kind != "cpu" and not (kind == "cuda" and torch.cuda.is_available()):
            raise UserError(f"device {self.device} is not available: choose cpu, or cuda if there is a GPU")
        whole = predict(self.task)
        curve = from_critical_sizes(self.task, critical_sizes(self.task, self.trials, self.seed, self.device))
        rates = sample_rates(self.task, sizes, self.rate_trials, self.seed, self.device)
        return TheoryResults(
            task=f"{self.task.name}, p = {self.task.p}",
            whole=whole,
            critical=critical_fraction(curve),
            unique=curve.to_frame(),
            rates=rate_quantiles(self.task, sizes, rates, self.learning_rate),
            by_p=critical_fraction_by_p(self.symbols, self.symbol_trials, self.seed, self.device),
        )


@dataclass(frozen=True)
class TheoryResults:
    """The results of a study.

    Args:
        task: name and number of symbols of the operation.
        whole: prediction for the whole table as training set.
        critical: critical training fraction r_c.
        unique: P(unique) with its Wilson interval, one row per size.
        rates: quantiles of lambda_3 and of the predicted steps, one row per size.
        by_p: critical fraction of addition, one row per number of symbols; may be empty.
    """

    task: str
    whole: Prediction
    critical: CriticalFraction
    unique: pd.DataFrame
    rates: pd.DataFrame
    by_p: pd.DataFrame
