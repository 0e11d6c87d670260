"""Check whether a run to be resumed has anything left to train."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from grokking_pl.commands.changed_settings import Change
from grokking_pl.errors import UserError
from grokking_pl.runs import RunFolder
from grokking_pl.runs.job import is_first_process


def leave_if_finished(
    folder: RunFolder, checkpoint: dict[str, Any], config: Namespace, record: str, changes: Sequence[Change] = ()
) -> None:
    """End the program with one line and status 0 if the run is finished and nothing is left to train.

    Args:
        folder: folder of the run.
        checkpoint: content of ``config.ckpt_path``.
        config: configuration of the command.
        record: content for ``config.yaml``.
        changes: changed settings.

    Raises:
        UserError: settings have changed, but nothing is left to train.
    """
    summary = folder.read_summary()
    is_own = Path(config.ckpt_path).resolve() == folder.checkpoint.resolve()
    if not is_own or summary.get("status") != "finished" or summary.get("steps") != checkpoint.get("global_step"):
        return
    if changes and _is_at_limit(checkpoint, config.trainer):
        raise UserError(
            f"{folder.path} holds a finished run, and nothing is left to train with {changes[0].name} "
            f"{changes[0].after}: give a larger --trainer.max_steps, or choose a new --run_dir"
        )
    if _is_at_limit(checkpoint, config.trainer) or _is_same(folder.config, record):
        if is_first_process():
            advice = "to train it further, give a larger --trainer.max_steps"
            print(f"grok: {folder.path} holds a finished run, and nothing is left to train: {advice}", file=sys.stderr)
        sys.exit(0)


def _is_at_limit(checkpoint: dict[str, Any], trainer: Namespace) -> bool:
    """Whether the checkpoint is at the trainer's last step or epoch; -1 and null mean no limit."""
    try:
        epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    except (KeyError, TypeError):  # damaged checkpoints are reported elsewhere
        epochs = None
    made = {"max_steps": checkpoint.get("global_step"), "max_epochs": epochs}
    limits = {name: trainer[name] for name in made}
    return any(
        isinstance(limits[name], int) and limits[name] >= 0 and isinstance(number, int) and number >= limits[name]
        for name, number in made.items()
    )


def _is_same(path: Path, record: str) -> bool:
    """Whether the recorded configuration is the same, even if the folder was moved."""
    try:
        recorded, ours = yaml.safe_load(path.read_text()), yaml.safe_load(record)
    except (OSError, ValueError, yaml.YAMLError):
        return False
    if not isinstance(recorded, dict):
        return False
    for settings in (recorded, ours):
        settings.pop("run_dir", None)
        settings.pop("fork", None)
        settings["trainer"] = {**settings.get("trainer", {}), "default_root_dir": None}
    return bool(recorded == ours)
