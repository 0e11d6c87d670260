"""Trainer options that cannot have Lightning's meaning here, and are refused instead of ignored."""

import pydoc
import re
from collections.abc import Callable, Mapping
from typing import Any

from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError

Refused = tuple[Callable[[Mapping[str, Any]], bool], str]
"""Whether an option's value is refused, and why, with advice."""

ANYWHERE: dict[str, Refused] = {
    "strategy": (
        lambda options: _starts_copies(options["strategy"]),
        "trains in copies of the process, whose callbacks are lost at the end: use ddp",
    ),
    "barebones": (
        lambda options: options["barebones"],
        "removes the run's records, which grok is for: omit it, or time your own Trainer",
    ),
    "default_root_dir": (
        lambda options: options["default_root_dir"] is not None,
        "is not where a run is written: give its folder with --run_dir",
    ),
}
"""Refused for any data."""

ON_A_STREAM: dict[str, Refused] = {
    "overfit_batches": (
        lambda options: options["overfit_batches"] != 0,
        "cannot repeat batches of an endless stream: choose a small training set with the options of --data",
    ),
    "reload_dataloaders_every_n_epochs": (
        lambda options: options["reload_dataloaders_every_n_epochs"] != 0,
        "would restart the stream of batches in the same order: omit it",
    ),
    "limit_train_batches": (
        lambda options: options["limit_train_batches"] in (0, 0.0) and options["limit_train_batches"] is not None,
        "trains nothing: use grok validate to measure a network without training",
    ),
    "gradient_clip_algorithm": (
        lambda options: options["gradient_clip_algorithm"] is not None and not options["gradient_clip_val"],
        "does not clip by itself: give --trainer.gradient_clip_val as well",
    ),
    "model_registry": (
        lambda options: options["model_registry"] is not None,
        "uploads the checkpoints of Lightning's own callback, which runs here do not use: use WandbRun, or omit it",
    ),
}
"""Refused for this project's data, which are an endless stream of batches on the device.

Other options have Lightning's meaning. ``limit_train_batches`` shortens the Lightning epoch, and the stream continues
in the next one; ``use_distributed_sampler`` always applies, since each process takes its share of every batch.
"""


LIMITS = {"validate": "limit_val_batches", "test": "limit_test_batches", "predict": "limit_predict_batches"}
"""The option that limits the data of each command."""


def check_trainer_options(options: Mapping[str, Any], data: str | None, command: str) -> None:
    """Raise a `UserError` for trainer options that would be ignored or have another meaning.

    Args:
        options: the trainer's options by name.
        data: class_path of the datamodule, if there is one.
        command: name of the command.
    """
    limit = LIMITS.get(command)
    if limit and options[limit] is not None and options[limit] == 0:
        raise UserError(f"trainer.{limit} 0 leaves grok {command} nothing to measure: give a larger one, or omit it")
    cls = pydoc.locate(data) if data else None
    is_stream = isinstance(cls, type) and issubclass(cls, TensorDataModule)
    for name, (is_refused, why) in {**ANYWHERE, **(ON_A_STREAM if is_stream else {})}.items():
        if is_refused(options):
            raise UserError(f"trainer.{name} {options[name]} {why}")


def _starts_copies(strategy: Any) -> bool:
    """Whether a strategy starts its processes as copies of this one (a strategy class has an option for it)."""
    arguments = getattr(strategy, "init_args", None) or {}
    name = str(arguments.get("start_method", "popen") if arguments else strategy).lower()
    return re.search("spawn|fork|notebook", name) is not None
