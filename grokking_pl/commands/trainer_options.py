"""Options of the Trainer that cannot have Lightning's meaning here, and are refused instead of being ignored."""

import pydoc
import re
from collections.abc import Callable, Mapping
from typing import Any

from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError

Refused = tuple[Callable[[Mapping[str, Any]], bool], str]
"""Whether a value among the trainer's options is refused, and why, with what to do."""

ANYWHERE: dict[str, Refused] = {
    "strategy": (
        lambda options: _starts_copies(options["strategy"]),
        "trains in copies of the process that are gone at the end, with what the callbacks know: use ddp",
    ),
    "barebones": (
        lambda options: options["barebones"],
        "takes the run its records, for which grok is there: leave it out, or time a Trainer of your own",
    ),
    "default_root_dir": (
        lambda options: options["default_root_dir"] is not None,
        "is not where a run is written: say its folder with --run_dir",
    ),
}
"""Refused whatever the data."""

ON_A_STREAM: dict[str, Refused] = {
    "overfit_batches": (
        lambda options: options["overfit_batches"] != 0,
        "cannot hold on to some batches of an endless stream: choose a small training set with the options of --data",
    ),
    "reload_dataloaders_every_n_epochs": (
        lambda options: options["reload_dataloaders_every_n_epochs"] != 0,
        "would begin the stream of batches anew, in the same order: leave it out",
    ),
    "limit_train_batches": (
        lambda options: options["limit_train_batches"] in (0, 0.0) and options["limit_train_batches"] is not None,
        "trains nothing: use grok validate to measure a network that is not trained any further",
    ),
    "gradient_clip_algorithm": (
        lambda options: options["gradient_clip_algorithm"] is not None and not options["gradient_clip_val"],
        "clips nothing by itself: give --trainer.gradient_clip_val as well",
    ),
    "model_registry": (
        lambda options: options["model_registry"] is not None,
        "uploads the checkpoints of Lightning's own callback, which a run here has not: use WandbRun, or leave it out",
    ),
}
"""Refused for data of this project, which come as an endless stream of batches, held on the device.

What is not here has Lightning's meaning. ``limit_train_batches`` shortens what Lightning calls an epoch, the stream
goes on in the next; ``use_distributed_sampler`` is so always, since every process takes its share of each batch.
"""


LIMITS = {"validate": "limit_val_batches", "test": "limit_test_batches", "predict": "limit_predict_batches"}
"""The option that says how much of its data a command measures."""


def check_trainer_options(options: Mapping[str, Any], data: str | None, command: str) -> None:
    """Raise a `UserError` for an option of the trainer that would be ignored, or mean something else.

    Args:
        options: the trainer's options by name.
        data: the class_path of the data module, if there is one.
        command: what the trainer shall do.
    """
    limit = LIMITS.get(command)
    if limit and options[limit] is not None and options[limit] == 0:
        raise UserError(
            f"trainer.{limit} 0 leaves grok {command} nothing to measure: give a larger one, or leave it out"
        )
    cls = pydoc.locate(data) if data else None
    is_stream = isinstance(cls, type) and issubclass(cls, TensorDataModule)
    for name, (is_refused, why) in {**ANYWHERE, **(ON_A_STREAM if is_stream else {})}.items():
        if is_refused(options):
            raise UserError(f"trainer.{name} {options[name]} {why}")


def _starts_copies(strategy: Any) -> bool:
    """Whether a strategy starts its processes as copies of this one; a class of it says so in an option."""
    arguments = getattr(strategy, "init_args", None) or {}
    name = str(arguments.get("start_method", "popen") if arguments else strategy).lower()
    return re.search("spawn|fork|notebook", name) is not None
