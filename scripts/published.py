"""Numbers published by the paper's authors, in tests/reference, and their step counts.

Published steps count from 0. The training accuracy is taken after the update of a step and the validation accuracy
before it; a threshold that was never reached is written as the last step. Runs here count updates, so a published
training step is one less than ours, and a validation step the same. Here, a step that was never reached is read as nan.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from grokking_pl.metrics import classify

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests/reference"
SAMPLES = 55
"""Unordered pairs of ten symbols: the size of the table of figures 3 to 6."""
STEPS = 10_000
"""Budget of the published runs."""
LAST_STEP = STEPS - 1
GRIDS = ("published_6a", "published_6b")
COLUMNS = {
    "embedding_lr": "model.embeddings.lr",
    "decoder_lr": "model.decoder.lr",
    "decoder_weight_decay": "model.decoder.weight_decay",
}
"""Axes of the grids, by their names in a configuration."""
DELAY = 1000
"""Delay of validation behind training above which a run counts as grokking (table 1)."""
MODERATE_RATE = 1e-3
"""Learning rate above which the published runs are chaotic."""


def grid(name: str) -> pd.DataFrame:
    """A published grid, one row per cell: its axes, and the published steps to both thresholds."""
    table = pd.read_csv(REFERENCE / f"{name}.csv")
    for which in ("train", "val"):
        steps = table.pop(f"steps_to_{which}_acc_0.9")
        table[f"published_{which}"] = steps.where(steps < LAST_STEP)
    return table


def training_fractions() -> pd.DataFrame:
    """The 33 published runs of figures 3 and 4b, one row per run: both accuracies, and the published steps to RQI."""
    accuracies, steps = (pd.read_csv(REFERENCE / f"{name}.csv") for name in ("figure3", "figure4b"))
    table = accuracies.merge(steps, on=["train_num", "seed"])
    steps_to_rqi = table.pop("steps_to_rqi_0.95")
    table["steps_to_rqi"] = steps_to_rqi.where(steps_to_rqi < LAST_STEP)
    return table


def moderate(cells: pd.DataFrame) -> pd.Series:
    """Whether both learning rates of a cell are moderate."""
    rates = cells.reindex(columns=["embedding_lr", "decoder_lr"], fill_value=0.0)
    return rates.max(axis=1) <= MODERATE_RATE * 1.0001


def phase_of(train: float, val: float, delay: int = DELAY) -> str:
    """The phase from the steps to both thresholds, nan for never."""
    return str(classify(None if np.isnan(train) else train, None if np.isnan(val) else val, delay))


def close(ours: pd.Series, theirs: pd.Series, relative: float, absolute: int = 0) -> pd.Series:
    """Whether steps agree: both never, or within a fraction of the published step or a number of steps."""
    allowed = np.maximum(absolute, relative * theirs)
    return (ours.isna() & theirs.isna()) | ((ours - theirs).abs() <= allowed)
