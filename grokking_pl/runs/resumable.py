"""Checks of a run's checkpoint and files before resuming; errors name the file."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import __version__ as lightning_version
from packaging.version import InvalidVersion, Version

from grokking_pl.errors import UserError
from grokking_pl.runs.csv_metrics import read_rows
from grokking_pl.runs.files import is_whole_archive
from grokking_pl.runs.folder import RunFolder

OUTLINE = "outline"
"""Key of a checkpoint's outline, which tells what is missing from what never existed."""

PLAIN = (bool, int, float, str, bytes, type(None))
"""Types of plain values; bool first, because it is a subclass of int."""

KINDS: dict[str, type | tuple[type, ...]] = {
    "state_dict": Mapping,
    "global_step": int,
    "epoch": int,
    "pytorch-lightning_version": str,
    "loops": Mapping,
    "callbacks": Mapping,
    "optimizer_states": list,
    "lr_schedulers": list,
}
"""Lightning's entries in a checkpoint, besides those of module and callbacks."""

WRITTEN_WHOLE = {".csv", ".json", ".yaml", ".png", ".npz", ".gif", ".mp4"}
"""Suffixes of files that a run writes to its folder."""


def outline(checkpoint: Mapping[str, Any]) -> str:
    """A digest of a checkpoint's names, value types and tensor shapes.

    It excludes the values and itself, so that a checkpoint can contain it.

    >>> outline({"step": 1, "loss": 0.5}) == outline({"step": 2, "loss": 0.3})
    True
    >>> outline({"step": 1, "loss": 0.5}) == outline({"step": 1, "loss": None})
    False
    """
    kept = {name: part for name, part in checkpoint.items() if name != OUTLINE}
    return hashlib.sha256(repr(_kinds(kept)).encode()).hexdigest()


def _kinds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _kinds(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_kinds(part) for part in value]
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape)
    return next((kind.__name__ for kind in PLAIN if isinstance(value, kind)), "other")


def check_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Check that a checkpoint has everything needed to resume; whether it fits the run is checked later.

    Raises:
        UserError: something is missing or has the wrong type.
    """
    for name, kind in KINDS.items():
        if name not in checkpoint:
            raise _is_damaged(path, f"it has no {name}")
        value = checkpoint[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _is_damaged(path, f"its {name} has the wrong type, {type(value).__name__}")
        if isinstance(value, int) and value < 0:
            raise _is_damaged(path, f"its {name} is {value}")
    _check_places(checkpoint, path)
    _check_version(checkpoint["pytorch-lightning_version"], path)
    if OUTLINE in checkpoint and checkpoint[OUTLINE] != outline(checkpoint):
        raise _is_damaged(path, "an entry is missing or has another type than when written")


def _check_places(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Check that the positions in the streams of batches are numbers, before training starts there."""
    try:
        places = checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader", [])
        consumed = [place["consumed"] for place in places if "consumed" in place]
    except (AttributeError, KeyError, TypeError):
        raise _is_damaged(path, "its loops have no position in the data") from None
    if any(type(number) is not int or number < 0 for number in consumed):
        raise _is_damaged(path, f"its position in the data is {consumed}")


def _check_version(text: str, path: Path) -> None:
    try:
        major = Version(text).major
    except InvalidVersion:
        raise _is_damaged(path, f"its pytorch-lightning_version is {text!r}") from None
    if major != Version(lightning_version).major:
        raise UserError(
            f"{path} was written by Lightning {text}, but {lightning_version} is installed: resume it with the "
            "version that wrote it, or start again in another folder with --run_dir"
        )


def _is_damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} is damaged and cannot be resumed from ({reason}): resume from another checkpoint with "
        "--ckpt_path FILE, or start again in another folder with --run_dir"
    )


def check_files(folder: RunFolder) -> None:
    """Check that a resumed run can read and write the files in its folder.

    Raises:
        UserError: a file is damaged, or something else has its name.
    """
    for path in sorted(folder.path.iterdir()):
        if path.suffix in WRITTEN_WHOLE and not path.is_file():
            raise UserError(f"{path} is not a file, but the run writes a file of this name: move it away to resume")
    for path in (folder.checkpoint.parent, folder.weights, folder.path / "tensorboard"):
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is not a folder, but the run needs this folder: move it away to resume")
    try:
        read_rows(folder.metrics)
    except OSError as error:
        raise UserError(
            f"{folder.metrics} cannot be read ({error.strerror}): move it away to resume without it"
        ) from None
    _check_summary(folder.summary)


def check_weights(folder: RunFolder) -> None:
    """Check that the weights kept by a run are readable.

    Raises:
        UserError: a file is damaged.
    """
    for path in sorted(folder.weights.glob("step_*.npz")):
        if not is_whole_archive(path):
            raise UserError(
                f"{path} is damaged: restore it from a copy, or delete it to resume without the weights of that step"
            )


def _check_summary(path: Path) -> None:
    if not path.exists():
        return
    try:
        summary = json.loads(path.read_text())
        whole = isinstance(summary, dict) and isinstance(summary.get("status"), str)
    except (OSError, ValueError, RecursionError):
        whole = False
    if not whole:
        raise UserError(
            f"{path} is damaged, so it is unknown whether the run is finished: restore it from a copy, or delete "
            "it to resume the run as unfinished"
        )
