"""Invalid values of trainer options: numbers out of range, and missing hardware."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from grokking_pl.cores import cores
from grokking_pl.data import TensorDataModule
from grokking_pl.errors import UserError, message_on_one_line
from grokking_pl.runs.job import check_nodes
from grokking_pl.training import GrokkingModule

LEAST = {
    "num_nodes": 1,
    "log_every_n_steps": 1,
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "max_steps": -1,
    "max_epochs": -1,
    "min_steps": 0,
    "min_epochs": 0,
    "num_sanity_val_steps": -1,
    "reload_dataloaders_every_n_epochs": 0,
    "gradient_clip_val": 0,
    "limit_train_batches": 0,
    "limit_val_batches": 0,
    "limit_test_batches": 0,
    "limit_predict_batches": 0,
    "overfit_batches": 0,
    "val_check_interval": 0,
    "fast_dev_run": 0,
}
"""The least value of each numeric option."""

GPUS: dict[str, tuple[Callable[[], bool], ...]] = {
    "cuda": (torch.cuda.is_available,),
    "mps": (torch.backends.mps.is_available,),
    "gpu": (torch.cuda.is_available, torch.backends.mps.is_available),
}
"""How to check that an accelerator's GPUs are available."""

MOST = 2**63 - 1
MOST_SEED = 2**32 - 1
MOST_PROCESSES_PER_CORE = 16

JUDGED_BY_TRAINER = ("accelerator", "devices", "strategy", "num_nodes", "precision", "profiler", "max_time")
"""Options whose values only the trainer can check, since they depend on the machine or are its own classes."""


def check_trainer_values(config: Mapping[str, Any]) -> None:
    """Check that numbers are in range, before anything is built.

    Args:
        config: configuration of a command, with ``seed_everything`` and the section ``trainer``.

    Raises:
        UserError: a number is out of range, or a missing GPU or node is requested.
    """
    seed = config["seed_everything"]
    if isinstance(seed, int) and not isinstance(seed, bool) and not 0 <= seed <= MOST_SEED:
        raise UserError(f"seed_everything is {seed}; it must be between 0 and {MOST_SEED}")
    for name, least in LEAST.items():
        value = config["trainer"][name]
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if math.isnan(value) or value < least:
            raise UserError(f"trainer.{name} is {value}; it must be at least {least}")
        if value > MOST:
            raise UserError(f"trainer.{name} is {value}; it must be at most {MOST}")
    for unit in ("steps", "epochs"):
        least, most = config["trainer"][f"min_{unit}"], config["trainer"][f"max_{unit}"]
        if least is not None and most is not None and 0 <= most < least:
            raise UserError(f"trainer.min_{unit} is {least}, which is more than trainer.max_{unit}, {most}")
    max_time = config["trainer"]["max_time"]
    if isinstance(max_time, Mapping) and any(number < 0 for number in max_time.values()):
        raise UserError(f"trainer.max_time is {dict(max_time)}; its numbers must be at least 0")
    accelerator = config["trainer"]["accelerator"]
    if accelerator in GPUS and not any(is_there() for is_there in GPUS[accelerator]):
        raise UserError(f"trainer.accelerator is {accelerator}, but there is no such GPU here: choose cpu or auto")
    if not config["trainer"]["plugins"]:  # one may tell the trainer its nodes
        check_nodes("trainer.num_nodes", config["trainer"]["num_nodes"])
    devices, most = str(config["trainer"]["devices"]), MOST_PROCESSES_PER_CORE * cores()
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not any(is_there() for is_there in GPUS["gpu"]))
    if on_cpu and devices.isdecimal() and int(devices) > most:
        raise UserError(
            f"trainer.devices is {devices}, each a process with its own copy of this program, but there are "
            f"{cores()} cores here: give at most {most}"
        )


@contextmanager
def trainer_errors(trainer: Mapping[str, Any]) -> Iterator[None]:
    """Turn the trainer's errors into a `UserError` that names the options only it can check.

    Args:
        trainer: options of the trainer.
    """
    try:
        yield
    except (MisconfigurationException, ValueError, TypeError) as error:
        given = [
            f"trainer.{name} {trainer[name]}" for name in JUDGED_BY_TRAINER if trainer[name] not in (None, "auto", 1)
        ]
        raise UserError(f"{', '.join(given) or 'trainer'}: {message_on_one_line(error)}") from error


def check_with_data(trainer: Mapping[str, Any], module: Any, data: Any) -> None:
    """Check that there is data, unless the module brings its own, and that validation fits in an epoch.

    Args:
        trainer: options of the trainer.
        module: module to train.
        data: datamodule, or None.

    Raises:
        UserError: there is no data, or no validation.
    """
    if data is None and isinstance(module, GrokkingModule):
        raise UserError(
            "no data to train on: give the section data, as configs/mnist_grok.yaml does, or --data=MNISTDataModule"
        )
    if not isinstance(data, TensorDataModule):
        return
    interval, steps = trainer["val_check_interval"], data.steps_per_epoch
    is_count = isinstance(interval, int) and not isinstance(interval, bool)
    if is_count and interval > steps and trainer["check_val_every_n_epoch"] is not None:
        raise UserError(
            f"trainer.val_check_interval is {interval}, but an epoch has {steps} steps: set "
            "data.steps_per_epoch to at least as many, or trainer.check_val_every_n_epoch to null"
        )
