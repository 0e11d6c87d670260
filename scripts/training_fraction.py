"""Toy addition at training sets of 5 to 54 samples: the runs of figures 3, 4b and 5b, and what is said of them."""

import numpy as np
import pandas as pd
from figure_run import FigureRun
from published import SAMPLES, STEPS, close, training_fractions

from grokking_pl.data import AlgorithmicDataModule
from grokking_pl.tasks import addition
from grokking_pl.theory import Prediction, predict


def training_fraction_runs(run: FigureRun, config: str) -> pd.DataFrame:
    """Train toy addition with 5 to 54 training samples; include the published numbers (figures 3, 4b and 5b).

    One row per run. Steps count updates, nan for never.
    """
    runs = run.diagram(config).rename(columns={"data.train_count": "train_count"})
    n = runs.train_count
    ours = runs[["train_count", "seed"]].assign(
        train_fraction=n / SAMPLES,
        accuracy=(n * runs.train_accuracy + (SAMPLES - n) * runs.val_accuracy) / SAMPLES,
        predicted_accuracy=runs.predicted_accuracy,
        steps_to_rqi=runs.steps_to_rqi,
    )
    published = training_fractions().drop(columns="train_fraction").rename(columns={"train_num": "train_count"})
    published["steps_to_rqi"] += 1
    columns = {name: f"published_{name}" for name in ("accuracy", "predicted_accuracy", "steps_to_rqi")}
    return ours.merge(published.rename(columns=columns), on=["train_count", "seed"])


def structure_runs(run: FigureRun) -> tuple[pd.DataFrame, int]:
    """The runs of figures 4b and 5b and their step budget; the quick ones are those of figure 3."""
    runs = training_fraction_runs(run, "figure3_small" if run.quick else "figure4b")
    return runs, run.steps or (5000 if run.quick else STEPS)


def published_within(runs: pd.DataFrame, budget: int) -> pd.Series:
    """The published steps to RQI > 0.95, nan if beyond the budget."""
    return runs.published_steps_to_rqi.where(runs.published_steps_to_rqi <= budget)


def agreement(runs: pd.DataFrame, budget: int) -> str:
    """In words, in how many runs the steps to RQI > 0.95 agree with the published ones within a budget."""
    agree = close(runs.steps_to_rqi, published_within(runs, budget), 0.02, 1)
    return f"both never, or steps within 2 %, in {agree.sum()} of {len(runs)}"


def prediction_of(train_count: int, seed: int) -> Prediction:
    """What the theory says of the training set of a published run."""
    data = AlgorithmicDataModule(addition(10), train_count=train_count, split="published", seed=seed)
    data.setup("fit")
    return predict(data.table, data.train_indices)


def rank_correlation(measured: pd.Series, predicted: pd.Series) -> float:
    """Spearman's rank correlation of measured and predicted steps; never, nan or infinite, ranks last."""
    return float(measured.fillna(np.inf).rank().corr(predicted.rank()))
