"""Settings that change while a run goes on: learning rates and weight decay, from the step at which it is resumed."""

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

GROUPS = ("embeddings", "decoder")
OPTIONS = {"lr": "lr", "weight_decay": "weight_decay", "decoupled": "decoupled_weight_decay"}
"""What may change of a group, with its name in the optimizer."""

HISTORY = "settings_history"
"""Where a checkpoint has what has changed so far, as JSON."""

CHANGEABLE = frozenset(f"model.{group}.{option}" for group in GROUPS for option in OPTIONS)
"""The settings that can change while a run goes on, by their flat names."""


@dataclass(frozen=True)
class Change:
    """A setting that is another from a step on.

    Args:
        name: its flat name.
        before: its value so far.
        after: its value from now on.
    """

    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.name} {_word(self.before)} -> {_word(self.after)}"


def history_of(checkpoint: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """What has changed in a run so far: entries with ``from_step`` and ``settings``, and a fork's with ``parent``.

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
    """Gives the optimizer the settings that have changed, and keeps in the run when each began to hold.

    Args:
        history: what changed before.
        changes: what changes now.
        step: the step at which the run goes on.
        parent: the run that this one is a fork of, where it begins as one.
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
            for change in changes:  # what has not changed before held from the beginning
                if not any(change.name in entry["settings"] for entry in self.history):
                    self.history[0]["settings"][change.name] = change.before
            entry: dict[str, Any] = {"from_step": step, "settings": {change.name: change.after for change in changes}}
            self.history.append(entry if parent is None else {**entry, "parent": parent})
        self.step = step

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Change the optimizer's groups, and write ``settings_history.json``, now that the checkpoint is restored.

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
        """Keep what has changed in the checkpoint."""
        if self.history:
            checkpoint[HISTORY] = json.dumps(self.history)

    def summary(self) -> dict[str, Any]:
        """The run that this one is a fork of, if it is one, as ``RUN@STEP``."""
        parents = [entry["parent"] for entry in self.history if "parent" in entry]
        return {"parent": parents[-1]} if parents else {}


def change_setting(trainer: pl.Trainer, change: Change) -> None:
    """Give the groups of a trainer's optimizers another value of a setting; a schedule's factor is kept.

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
        raise UserError(f"{change.name} cannot change while the run goes on: its optimizer has no such option")
    schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
    if setting == "lr" and any(schedulers):
        if not change.before:
            raise UserError(f"{change.name} cannot change from 0 while the run has a schedule: train anew")
        factor = change.after / change.before
        for group in groups:
            for name in {"lr", "initial_lr"} & {*group}:
                group[name] *= factor
        for scheduler in schedulers:
            _scale_base_rates(scheduler, groups, factor)
        return
    for group in groups:
        group[option] = change.after


def _scale_base_rates(scheduler: Any, groups: list[dict[str, Any]], factor: float) -> None:
    """Scale the rates that a scheduler, or each of several as one, multiplies with its factors."""
    for part in getattr(scheduler, "schedulers", None) or (scheduler,):
        rates = getattr(part, "base_lrs", None)
        if rates:
            mine = [any(group is other for other in groups) for group in part.optimizer.param_groups]
            part.base_lrs = [rate * factor if ours else rate for rate, ours in zip(rates, mine, strict=True)]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
