"""Check monitored metrics before the first step, instead of at the end of an epoch."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import (
    DeviceStatsMonitor,
    EarlyStopping,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
    StochasticWeightAveraging,
    Timer,
)

from grokking_pl.errors import UserError
from grokking_pl.experiments.settings import nearest
from grokking_pl.training import GrokkingModule

OF_VALIDATION = ("val_loss", "val_accuracy")
OF_TRAINING = ("loss",)
WITHOUT_METRICS = (
    DeviceStatsMonitor,
    EarlyStopping,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
    StochasticWeightAveraging,
    Timer,
)
"""Lightning callbacks that log nothing that can be monitored."""


class MonitoredMetrics(pl.Callback):
    """Checks at the start of training that every monitored metric will be logged.

    It comes after the callbacks that measure the initial network. With a user's own module or callback, whose metrics
    are unknown, nothing is checked.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the monitored metrics.

        Raises:
            UserError: a monitored metric is not logged.
        """
        if not _is_known(trainer, pl_module):
            return
        names = {*trainer.callback_metrics, *OF_TRAINING}
        if trainer.limit_val_batches:
            names |= set(OF_VALIDATION)
        for who, name in _monitored(trainer):
            if name not in names:
                raise UserError(f"{who} monitors {name}, which nothing logs{nearest(name, names)}")


def _is_known(trainer: pl.Trainer, module: pl.LightningModule) -> bool:
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return type(module) is GrokkingModule and all(
        isinstance(callback, WITHOUT_METRICS) or type(callback).__module__.startswith("grokking_pl.")
        for callback in callbacks
    )


def _monitored(trainer: Any) -> list[tuple[str, str]]:
    """Names of monitoring callbacks or schedules, and of their metrics."""
    monitored = [
        (type(callback).__name__, callback.monitor)
        for callback in trainer.callbacks
        if isinstance(callback, EarlyStopping | ModelCheckpoint) and callback.monitor
    ]
    plateaus = [scheduler for scheduler in trainer.lr_scheduler_configs if scheduler.reduce_on_plateau]
    return monitored + [(type(plateau.scheduler).__name__, plateau.monitor) for plateau in plateaus]
