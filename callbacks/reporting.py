"""The reporting interface of callbacks, and helpers that use the trainer."""

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from grokking_pl.errors import UserError, reason_on_one_line
from grokking_pl.runs.csv_metrics import CSVMetrics
from grokking_pl.runs.files import RESUME_ADVICE, save_figure, write_arrays, writing
from grokking_pl.runs.folder import RunFolder
from grokking_pl.runs.kept_checkpoints import is_log_spaced


class Reporting:
    """Mixin for callbacks: progress bar status, entries for ``summary.json``, and a reason to end the run.

    All methods are optional.
    """

    def settle(self) -> None:
        """Evaluate and log deferred values; called before metrics and checkpoints are written."""

    def status(self) -> dict[str, str]:
        """Short values, by name, for the progress bar."""
        return {}

    def summary(self) -> dict[str, Any]:
        """Plain values, by name, for ``summary.json`` and the loggers' summaries."""
        return {}

    def reason_to_stop(self) -> str | None:
        """The reason why the callback ends the run early; None if it does not."""
        return None


def reporting_callbacks(trainer: pl.Trainer) -> list[Reporting]:
    """The trainer's callbacks that report."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, Reporting)]


def settle_and_save(trainer: pl.Trainer) -> None:
    """Evaluate all deferred values, and make every logger write its data."""
    for callback in reporting_callbacks(trainer):
        callback.settle()
    for logger in trainer.loggers:
        if isinstance(logger, CSVMetrics):
            logger.save_all()
        else:
            logger.save()


def log(trainer: pl.Trainer, step: int, metrics: Mapping[str, float | int | str]) -> None:
    """Send metrics to every logger under the number of updates made, and the numbers to ``callback_metrics``.

    ``ModelCheckpoint`` and ``EarlyStopping`` read ``callback_metrics``. Words go to the loggers that can store them,
    which is all but TensorBoard.
    """
    numbers = {name: float(value) for name, value in metrics.items() if not isinstance(value, str)}
    for logger in trainer.loggers:
        logger.log_metrics(numbers if isinstance(logger, TensorBoardLogger) else dict(metrics), step=step)  # type: ignore[arg-type]
    # Not by log_dict, which some hooks may not call; deferred values are logged there too.
    trainer.callback_metrics.update({name: torch.tensor(value) for name, value in numbers.items()})


def is_log_step(trainer: pl.Trainer, step: int, every_n_steps: int = 1) -> bool:
    """Whether to log this step's value: the first in each log interval, for values every ``every_n_steps`` steps."""
    interval: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return interval > 0 and step % interval < every_n_steps


def is_early_log_step(trainer: pl.Trainer, step: int, every_n_steps: int = 1) -> bool:
    """Whether to log this step's value because it is an early one: in the first log interval, ten per decade.

    Curves with a logarithmic axis show these steps.
    """
    if not 0 < step < trainer.log_every_n_steps:  # type: ignore[attr-defined]
        return False
    return any(is_log_spaced(each) for each in range(max(1, step - every_n_steps + 1), step + 1))


def run_folder(trainer: pl.Trainer) -> RunFolder:
    """The folder of the trainer's run."""
    return RunFolder(Path(trainer.default_root_dir))


def writes_files(trainer: pl.Trainer) -> bool:
    """Whether this process writes the run's files: the first one, unless it is a trial run."""
    return trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]


def number_of_samples(trainer: pl.Trainer) -> dict[str, int]:
    """The numbers of training and validation samples, by name; empty if the datamodule does not tell."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    count, inputs = getattr(data, "num_train", None), getattr(data, "inputs", None)
    if not isinstance(count, int) or not isinstance(inputs, torch.Tensor):
        return {}
    return {"train_samples": count, "val_samples": len(inputs) - count}


def keep_arrays(trainer: pl.Trainer, name: str, **arrays: Any) -> None:
    """Write arrays to a ``.npz`` file in the run's folder.

    Raises:
        UserError: the disk is full or the folder is gone.
    """
    path = run_folder(trainer).path / name
    with writing(path, RESUME_ADVICE):
        write_arrays(path, **arrays)


def draw(trainer: pl.Trainer, name: str, make: Callable[[], Any]) -> None:
    """Draw a figure to the run's folder. If that fails, print one line and continue.

    Args:
        trainer: the trainer; write all other files before.
        name: name of the file.
        make: function that returns the figure.
    """
    if not writes_files(trainer):
        return
    try:
        save_figure(make(), run_folder(trainer).path / name)
    except Exception as error:
        tell_failure(name, error)


def tell_failure(what: str, error: Exception) -> None:
    """Print one line that something optional could not be made."""
    reason = reason_on_one_line(str(error))
    tell(f"grok: no {what} ({type(error).__name__}{': ' * bool(reason)}{reason}); the run is not affected")


def tell(line: str) -> None:
    """Print a line on standard error, if it is open."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def symbol_names(trainer: pl.Trainer, p: int) -> tuple[str, ...]:
    """The names of the p symbols, from the data's operation table or else their numbers."""
    table = getattr(trainer.datamodule, "table", None)  # type: ignore[attr-defined]
    return tuple(map(str, range(p) if table is None else table.symbols))


def require_representation(module: Any, callback: str) -> None:
    """Raise a `UserError` if the module has no representation."""
    if not hasattr(type(module), "representation"):
        raise UserError(f"{callback} needs the module's representation, but {type(module).__name__} has none")
    try:
        _ = module.representation
    except UserError as error:
        raise UserError(f"{callback}: {error}") from None


def require_combination(module: Any, callback: str) -> None:
    """Raise a `UserError` if the module's network does not declare how it combines two embeddings."""
    if getattr(module, "has_combination", True):
        return
    embedding = module.representation.embeddings[:1]
    try:
        module.representation.combine(embedding, embedding)
    except UserError as error:
        raise UserError(f"{callback}: {error}, or remove the callback") from None


def require_scores(trainer: pl.Trainer, callback: str) -> None:
    """Raise a `UserError` unless the module has ``score`` and ``parameter_groups``, as `GrokkingModule` does."""
    module, data = trainer.lightning_module, trainer.datamodule  # type: ignore[attr-defined]
    if not (hasattr(data, "train_set") and hasattr(module, "score") and hasattr(module, "parameter_groups")):
        raise UserError(
            f"{callback} needs a datamodule with train_set and val_set, and a module with score and parameter_groups: "
            "derive them from TensorDataModule and GrokkingModule"
        )


def require_table(trainer: pl.Trainer, callback: str) -> Any:
    """Return the datamodule, which must have an operation table and a split.

    Raises:
        UserError: it has none, or the module has no representation.
    """
    require_representation(trainer.lightning_module, callback)
    data = trainer.datamodule  # type: ignore[attr-defined]
    if not hasattr(data, "table"):
        raise UserError(f"{callback} needs the operation table of algorithmic data, but {type(data).__name__} has none")
    return data
