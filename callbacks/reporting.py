"""What a callback may tell about a run, and what all callbacks ask of the trainer."""

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from grokking_pl.errors import UserError
from grokking_pl.runs.csv_metrics import CSVMetrics
from grokking_pl.runs.files import RESUME_ADVICE, save_figure, write_arrays, writing
from grokking_pl.runs.folder import RunFolder

MOST_OF_A_REASON = 200
"""Characters of an error that are shown."""


class Reporting:
    """Mixed into a callback: words for the progress bar, entries for ``summary.json``, a reason to end the run.

    All methods are optional.
    """

    def settle(self) -> None:
        """Evaluate and log what was put off; called before the metrics are written and a checkpoint is made."""

    def status(self) -> dict[str, str]:
        """Short values, by name, for the progress bar."""
        return {}

    def summary(self) -> dict[str, Any]:
        """Plain values, by name, for ``summary.json`` and the loggers' summaries."""
        return {}

    def reason_to_stop(self) -> str | None:
        """Why the callback has the run end before its time; None if it does not."""
        return None


def reporting_callbacks(trainer: pl.Trainer) -> list[Reporting]:
    """The trainer's callbacks that report."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, Reporting)]


def settle_and_save(trainer: pl.Trainer) -> None:
    """Evaluate all that was put off, and let every logger write all that it has."""
    for callback in reporting_callbacks(trainer):
        callback.settle()
    for logger in trainer.loggers:
        if isinstance(logger, CSVMetrics):
            logger.save_all()
        else:
            logger.save()


def log(trainer: pl.Trainer, step: int, metrics: Mapping[str, float | int | str]) -> None:
    """Send metrics to every logger under the number of updates made, and the numbers to ``callback_metrics``.

    ``callback_metrics`` is where ``ModelCheckpoint`` and ``EarlyStopping`` look for what they monitor. Words reach
    the loggers that can store them, which is all but TensorBoard.
    """
    numbers = {name: float(value) for name, value in metrics.items() if not isinstance(value, str)}
    for logger in trainer.loggers:
        logger.log_metrics(numbers if isinstance(logger, TensorBoardLogger) else dict(metrics), step=step)  # type: ignore[arg-type]
    # Not by log_dict, which some hooks may not call: checkpoints and the end of training log what was put off, too.
    trainer.callback_metrics.update({name: torch.tensor(value) for name, value in numbers.items()})


def is_log_step(trainer: pl.Trainer, step: int, every_n_steps: int = 1) -> bool:
    """Whether a value of this step is logged, if there is one every so many steps: the first in each log interval."""
    interval: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return interval > 0 and step % interval < every_n_steps


def run_folder(trainer: pl.Trainer) -> RunFolder:
    """The folder of the trainer's run."""
    return RunFolder(Path(trainer.default_root_dir))


def writes_files(trainer: pl.Trainer) -> bool:
    """Whether this process writes the files of the run: the first one does, unless the run is a trial."""
    return trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]


def keep_arrays(trainer: pl.Trainer, name: str, **arrays: Any) -> None:
    """Write arrays into the run's folder, as a ``.npz`` file.

    Raises:
        UserError: the disk is full or the folder has gone.
    """
    path = run_folder(trainer).path / name
    with writing(path, RESUME_ADVICE):
        write_arrays(path, **arrays)


def draw(trainer: pl.Trainer, name: str, make: Callable[[], Any]) -> None:
    """Draw a figure into the run's folder. One that cannot be drawn costs a line, and not the run.

    Args:
        trainer: of the run, all other files of which should be written before.
        name: of the file.
        make: returns the figure.
    """
    if not writes_files(trainer):
        return
    try:
        save_figure(make(), run_folder(trainer).path / name)
    except Exception as error:
        tell_failure(name, error)


def tell_failure(what: str, error: Exception) -> None:
    """Say on one line that something that is not needed could not be made."""
    reason = " ".join(str(error).split())[:MOST_OF_A_REASON]
    tell(f"grok: no {what} ({type(error).__name__}{': ' * bool(reason)}{reason}); the run is not affected")


def tell(line: str) -> None:
    """Say something on standard error, unless nobody can hear it."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def symbol_names(trainer: pl.Trainer, p: int) -> tuple[str, ...]:
    """The names of the p symbols: those of the data's operation table, or else their numbers."""
    table = getattr(trainer.datamodule, "table", None)  # type: ignore[attr-defined]
    return tuple(map(str, range(p) if table is None else table.symbols))


def require_representation(module: Any, callback: str) -> None:
    """Raise a `UserError` if the module has no representation: another LightningModule, or one without embeddings."""
    if not hasattr(type(module), "representation"):
        raise UserError(f"{callback} asks the module for its representation, but {type(module).__name__} has none")
    try:
        _ = module.representation
    except UserError as error:
        raise UserError(f"{callback}: {error}") from None


def require_scores(trainer: pl.Trainer, callback: str) -> None:
    """Raise a `UserError` unless the module scores samples and groups its parameters, as `GrokkingModule` does."""
    module, data = trainer.lightning_module, trainer.datamodule  # type: ignore[attr-defined]
    if not (hasattr(data, "train_set") and hasattr(module, "score") and hasattr(module, "parameter_groups")):
        raise UserError(
            f"{callback} needs a datamodule with train_set and val_set, and a module with score and parameter_groups: "
            "derive them from TensorDataModule and GrokkingModule"
        )


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
