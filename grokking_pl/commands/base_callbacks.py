"""Which callbacks the base of a diagram may list: those that only watch, since a population calls none."""

import importlib
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.callbacks import (
    DeviceStatsMonitor,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
)

from grokking_pl.callbacks import Reporting, RunCheckpoint
from grokking_pl.errors import UserError

OBSERVERS = (
    Reporting,
    RunCheckpoint,
    DeviceStatsMonitor,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
)
"""Callbacks that only watch."""

HOMES = ("grokking_pl.callbacks", "lightning.pytorch.callbacks")
"""Where a callback is that is given by its name alone."""


def check_callbacks(given: Any) -> None:
    """Raise a `UserError` for a callback that may change how a run trains.

    Args:
        given: the base's ``trainer.callbacks``: null, a callback or a list of them, by class_path or name.
    """
    for callback in given if isinstance(given, list) else [given] if given else []:
        path = str(callback.get("class_path") if isinstance(callback, Mapping) else callback)
        cls = _find(path)
        if cls is None or not issubclass(cls, OBSERVERS):
            raise UserError(
                f"a diagram cannot honour the callback {path}, which its base lists and which may change the "
                "training: remove it from the base, derive it from Reporting if it only watches, or train with grok "
                "fit or grok sweep"
            )


def _find(path: str) -> type | None:
    module, _, name = path.rpartition(".")
    for home in [module] if module else HOMES:
        try:
            cls = getattr(importlib.import_module(home), name, None)
        except (ImportError, ValueError):
            continue
        if isinstance(cls, type):
            return cls
    return None
