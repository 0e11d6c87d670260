"""What a callback may tell of a run, besides what it logs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger

from grokking_pl.errors import UserError
from grokking_pl.runs.folder import RunFolder


class Reporting:
    """Mixed into a callback: words for the progress bar and entries for ``summary.json``. All methods are optional."""

    def settle(self) -> None:
        """Evaluate and log what was put off; called before the metrics are written and a checkpoint is made."""

    def status(self) -> dict[str, str]:
        """Short values, by name, for the progress bar."""
        return {}

    def summary(self) -> dict[str, Any]:
        """Plain values, by name, for ``summary.json`` and the loggers' summaries."""
        return {}


def log(trainer: pl.Trainer, step: int, metrics: Mapping[str, float | int | str]) -> None:
    """Send metrics to every logger under the number of updates made, and the numbers to ``callback_metrics``.

    ``callback_metrics`` is where ``ModelCheckpoint`` and ``EarlyStopping`` look for what they monitor. Words reach
    the loggers that can store them, which is all but TensorBoard.
    """
    numbers = {name: float(value) for name, value in metrics.items() if not isinstance(value, str)}
    for logger in trainer.loggers:
        logger.log_metrics(numbers if isinstance(logger, TensorBoardLogger) else dict(metrics), step=step)  # type: ignore[arg-type]
    if trainer.lightning_module._current_fx_name != "on_train_end":  # where Lightning allows no more, and none looks
        trainer.lightning_module.log_dict(numbers, logger=False)


def made_update(trainer: pl.Trainer) -> bool:
    """Whether the batch that just ended made an update; with accumulated gradients only every so many do."""
    return trainer.accumulate_grad_batches == 1 or not trainer.fit_loop._should_accumulate()


def run_folder(trainer: pl.Trainer) -> RunFolder:
    """The folder of the trainer's run."""
    return RunFolder(Path(trainer.default_root_dir))


def require_representation(module: Any, callback: str) -> None:
    """Raise a `UserError` if the module has no representation: another LightningModule, or one without embeddings."""
    if not hasattr(type(module), "representation"):
        raise UserError(f"{callback} asks the module for its representation, but {type(module).__name__} has none")
    try:
        _ = module.representation
    except UserError as error:
        raise UserError(f"{callback}: {error}") from None


def require_table(trainer: pl.Trainer, callback: str) -> Any:
    """The datamodule, which must have an operation table and a split, for a module with a representation.

    Raises:
        UserError: it has none.
    """
    require_representation(trainer.lightning_module, callback)
    data = trainer.datamodule  # type: ignore[attr-defined]
    if not hasattr(data, "table"):
        raise UserError(f"{callback} needs the operation table of algorithmic data, but {type(data).__name__} has none")
    return data
