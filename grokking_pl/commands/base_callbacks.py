"""Which callbacks the base of a diagram may list: those that only watch, and interventions."""

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

from grokking_pl.callbacks import Intervention, Reporting, RunCheckpoint
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


def interventions_among(given: Any) -> dict[str, Any]:
    """The callbacks that intervene in the training, by their names and with class_path and options.

    Args:
        given: the base's ``trainer.callbacks``: null, a callback or a list of them, by class_path or name.

    Raises:
        UserError: another callback may change how a run trains, since a population calls none.
    """
    interventions: dict[str, Any] = {}
    for callback in given if isinstance(given, list) else [given] if given else []:
        path = str(callback.get("class_path") if isinstance(callback, Mapping) else callback)
        cls = _find(path)
        if cls is not None and issubclass(cls, Intervention):
            if cls.__name__ in interventions:
                raise UserError(f"the base of a diagram lists {cls.__name__} more than once: leave one")
            options = callback.get("init_args") or {} if isinstance(callback, Mapping) else {}
            home = path.rpartition(".")[0] or cls.__module__
            interventions[cls.__name__] = {"class_path": f"{home}.{cls.__name__}", "init_args": options}
            continue
        if cls is None or not issubclass(cls, OBSERVERS):
            raise UserError(
                f"a diagram cannot honour the callback {path}, which its base lists and which may change the "
                "training: remove it from the base, derive it from Reporting if it only watches, or train with grok "
                "fit or grok sweep"
            )
    return interventions


def read_contenders(given: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What the contenders of a tournament change, their callbacks as `interventions_among` gives them.

    Args:
        given: what each changes, by its name.
        base: settings of all; its interventions are those of every contender, too.

    Raises:
        UserError: a contender has a callback that is no intervention.
    """
    return {
        name: {**changes, "callbacks": base.get("callbacks", {}) | interventions_among(changes["callbacks"])}
        if isinstance(changes, Mapping) and "callbacks" in changes
        else changes
        for name, changes in given.items()
    }


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
