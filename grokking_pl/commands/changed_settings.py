"""Settings that can change when a run is resumed: learning rates and weight decay."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks import Reporting
from grokking_pl.errors import UserError
from grokking_pl.runs import RunFolder
from grokking_pl.runs.files import json_text, write_atomically, writing
from grokking_pl.training.optimizer import GROUPS

OPTIONS = {"lr": "lr", "weight_decay": "weight_decay", "decoupled": "decoupled_weight_decay"}
"""Changeable options of a group, with their names in the optimizer."""

HISTORY = "settings_history"
"""Key of a checkpoint's changes so far, as JSON."""

CHANGEABLE = frozenset(f"model.{group}.{option}" for group in GROUPS for option in OPTIONS)
"""Settings that can change on resuming, by flat name."""


@dataclass(frozen=True)
class Change:
    """A change of a setting.

    Args:
        name: flat name of the setting.
        before: previous value.
        after: new value.
    """

    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.name} {as_word(self.before)} -> {as_word(self.after)}"


def history_of(checkpoint: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """The changes of a run so far: entries with ``from_step`` and ``settings``, and for forks ``parent``.

    Raises:
        UserError: the checkpoint's record is damaged.
    """
    try:
        history = json.loads(checkpoint.get(HISTORY, "[]"))
        if not all(isinstance(entry, dict) and isinstance(entry["from_step"], int) for entry in history):
            raise ValueError
    except (TypeError, ValueError, KeyError):
        raise UserError(
            f"{path} does not say which settings have changed in the run: restore it from a copy, or use another with "
            "--ckpt_path FILE"
        ) from None
    return list(history)


class SettingsHistory(pl.Callback, Reporting):
    """Applies changed settings to the optimizer, and records the step from which each applies.

    Args:
        history: earlier changes.
        changes: new changes.
        step: step at which the run resumes.
        parent: parent run, if this run starts as a fork.
    """

    def __init__(
        self, history: Sequence[dict[str, Any]], changes: Sequence[Change], step: int, parent: str | None = None
    ) -> None:
        super().__init__()
        self.changes = list(changes)
        self.history = list(history)
        if changes or parent is not None:
            if not self.history:
                self.history.append({"from_step": 0, "settings": {change.name: change.before for change in changes}})
            for change in changes:  # settings unchanged so far applied from the beginning
                if not any(change.name in entry["settings"] for entry in self.history):
                    self.history[0]["settings"][change.name] = change.before
            entry: dict[str, Any] = {"from_step": step, "settings": {change.name: change.after for change in changes}}
            self.history.append(entry if parent is None else {**entry, "parent": parent})
        self.step = step

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Change the optimizer's groups and write ``settings_history.json``, once the checkpoint is restored.

        Raises:
            UserError: the module's optimizer has no such group or option.
        """
        for change in self.changes:
            change_setting(trainer, change)
        if trainer.fast_dev_run or not trainer.is_global_zero:  # type: ignore[attr-defined]
            return
        if self.changes:
            print(f"from step {self.step}: {', '.join(map(str, self.changes))}", file=sys.stderr)
        if self.history:
            path = RunFolder(Path(trainer.default_root_dir)).settings_history
            with writing(path, "make room, or choose another folder with --run_dir"):
                write_atomically(path, json_text(self.history))

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the changes in the checkpoint."""
        if self.history:
            checkpoint[HISTORY] = json.dumps(self.history)

    def summary(self) -> dict[str, Any]:
        """The parent of a fork, as ``RUN@STEP``."""
        parents = [entry["parent"] for entry in self.history if "parent" in entry]
        return {"parent": parents[-1]} if parents else {}


def change_setting(trainer: pl.Trainer, change: Change) -> None:
    """Change a setting in the groups of a trainer's optimizers, keeping a schedule's factor.

    Raises:
        UserError: the module's optimizer has no such group or option, or its schedule has no factor to keep.
    """
    _, group_name, setting = change.name.split(".")
    option = OPTIONS[setting]
    groups = [
        group
        for optimizer in trainer.optimizers
        for group in optimizer.param_groups
        if str(group.get("name", "")).startswith(group_name) and option in group
    ]
    if not groups:
        raise UserError(f"{change.name} cannot change when resuming: the optimizer has no such option")
    schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
    if setting == "lr" and any(schedulers):
        if not change.before:
            raise UserError(f"{change.name} cannot change from 0 with a schedule: start a new run")
        for scheduler in _parts(schedulers):
            if hasattr(scheduler, "max_lrs") or any("max_lr" in group for group in groups):
                raise UserError(
                    f"{change.name} cannot change with {type(scheduler).__name__}, whose rates are fixed at its start: "
                    "start a new run"
                )
        factor = change.after / change.before
        for group in groups:
            for name in {"lr", "initial_lr"} & {*group}:
                group[name] *= factor
        for scheduler in _parts(schedulers):
            _scale_base_rates(scheduler, groups, factor)
        return
    for group in groups:
        group[option] = change.after


def _parts(schedulers: Sequence[Any]) -> list[Any]:
    """Each scheduler, or its parts if it consists of several."""
    return [part for scheduler in schedulers for part in getattr(scheduler, "schedulers", None) or (scheduler,)]


def _scale_base_rates(scheduler: Any, groups: list[dict[str, Any]], factor: float) -> None:
    rates = getattr(scheduler, "base_lrs", None)
    if rates:
        mine = [any(group is other for other in groups) for group in scheduler.optimizer.param_groups]
        scheduler.base_lrs = [rate * factor if ours else rate for rate, ours in zip(rates, mine, strict=True)]


def as_word(value: Any) -> str:
    """A setting's value in a message."""
    return value if isinstance(value, str) else json.dumps(value)
