"""Callbacks allowed in a diagram's base: observing callbacks and interventions."""

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
from grokking_pl.commands.standard_callbacks import as_list
from grokking_pl.errors import UserError
from grokking_pl.experiments.messages import OF_YOUR_OWN, near_in_module
from grokking_pl.metrics import Criterion

OBSERVERS = (
    Reporting,
    RunCheckpoint,
    DeviceStatsMonitor,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
)
"""Observing callbacks."""

HOMES = ("grokking_pl.callbacks", "lightning.pytorch.callbacks")
"""Modules in which callbacks are looked up by name."""


def interventions_among(given: Any, owner: str = "the base") -> dict[str, Any]:
    """The callbacks that intervene in training, by name, with class_path and options.

    Args:
        given: the base's ``trainer.callbacks``: null, one callback or a list, by class_path or name.
        owner: what has them, for messages.

    Raises:
        UserError: a callback does not exist, or is neither observing nor an intervention; a diagram calls no others.
    """
    interventions: dict[str, Any] = {}
    for callback in as_list(given or []):
        path, options = _path_and_options(callback)
        cls = _find(path)
        if cls is not None and issubclass(cls, Intervention):
            if cls.__name__ in interventions:
                raise UserError(f"a diagram has {cls.__name__} more than once in {owner}: remove one")
            home = path.rpartition(".")[0] or cls.__module__
            interventions[cls.__name__] = {"class_path": f"{home}.{cls.__name__}", "init_args": options}
            continue
        if cls is None:
            meant = near_in_module(HOMES[0], path)
            hint = f"did you mean {meant}?" if meant else OF_YOUR_OWN.format(path)
            hint = "check the names of module and class" if "." in path else hint
            raise UserError(f"{owner} has the callback {path}, but there is no such class: {hint}")
        if not issubclass(cls, OBSERVERS):
            raise UserError(
                f"a diagram does not support the callback {path} of {owner}, which may change the training: remove it "
                "there, derive it from Reporting if it only observes, or train with grok fit or grok sweep"
            )
    return interventions


def read_contenders(given: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a tournament's contenders, with callbacks as from `interventions_among`.

    Args:
        given: changes of each contender, by name.
        base: settings of all; its interventions apply to every contender too.

    Raises:
        UserError: a contender has a callback that is not an intervention.
    """
    return {
        name: {
            **changes,
            "callbacks": base.get("callbacks", {}) | interventions_among(changes["callbacks"], f"the contender {name}"),
        }
        if isinstance(changes, Mapping) and "callbacks" in changes
        else changes
        for name, changes in given.items()
    }


CRITERIA = {
    "PhaseTracker": {
        name: f"phase.{name}" for name in ("train_threshold", "val_threshold", "window", "delay", "further_thresholds")
    },
    "RepresentationQuality": {"threshold": "observe.rqi_threshold", "criterion": "observe.criterion"},
}
"""Options of callbacks that decide what a run has reached, and a diagram's options for the same."""


def notes_on_criteria(given: Any, own: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for every criterion of the base's callbacks that a diagram does not use, because it has another.

    Args:
        given: the base's ``trainer.callbacks``.
        own: the diagram's options ``phase`` and ``observe``.
    """
    notes = []
    for callback in as_list(given or []):
        path, options = _path_and_options(callback)
        name = path.rpartition(".")[2]
        for option, ours in CRITERIA.get(name, {}).items():
            section, _, key = ours.partition(".")
            value = own[section][key]
            value = vars(value) if isinstance(value, Criterion) else value
            if option in options and options[option] != value:
                notes.append(
                    f"{ours} is {value}, although {name} of the base has {option} {options[option]}: a diagram has its "
                    "own"
                )
    return notes


def _path_and_options(callback: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(callback, Mapping):
        return str(callback), {}
    return str(callback.get("class_path")), callback.get("init_args") or {}


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
