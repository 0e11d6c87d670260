"""Forks: runs that start from another run's checkpoint, with other settings and their own folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from grokking_pl.errors import UserError
from grokking_pl.runs import RunFolder

MAY_DIFFER = ("trainer.callbacks", "trainer.gradient_clip_val", "trainer.gradient_clip_algorithm", "model.loss",
              "model.output_scale")  # fmt: skip
"""Settings that may differ in a fork, including nested ones, besides those that may change in any run."""


@dataclass(frozen=True)
class Fork:
    """The starting point of a fork.

    Args:
        parent: parent run.
        step: step of the checkpoint; None for the last one.
    """

    parent: RunFolder
    step: int | None

    def checkpoint(self) -> Path:
        """The path of the checkpoint.

        Raises:
            UserError: the run has no checkpoint of this step.
        """
        if self.step is None:
            if not self.parent.checkpoint.exists():
                raise UserError(
                    f"{self.parent.path} holds no checkpoint to fork: give the folder of a run that has one"
                )
            return self.parent.checkpoint
        steps = {}
        # Files with the step in their name, which most have, are read first.
        for path in sorted(
            self.parent.checkpoint.parent.glob("*.ckpt"), key=lambda path: str(self.step) not in path.name
        ):
            steps[_step_of(path)] = path
            if self.step in steps:
                return path
        known = [str(step) for step in sorted(step for step in steps if step is not None)]
        has = f"it has {'that of step' if len(known) == 1 else 'those of steps'} {', '.join(known)}"
        raise UserError(f"{self.parent.path} has no checkpoint of step {self.step}: {has if known else 'it has none'}")


def read_fork(given: str) -> Fork:
    """Parse ``RUN`` or ``RUN@STEP``.

    Raises:
        UserError: the folder does not exist, contains no run, or the step is not a number.
    """
    path, step = Path(given), None
    if not path.is_dir():
        folder, at, number = given.rpartition("@")
        if at:
            path = Path(folder)
            if not number.isdecimal():
                raise UserError(f"fork is {given}, with step {number!r}: give RUN@STEP, such as runs/toy@2000")
            step = int(number)
    if not path.is_dir():
        raise UserError(f"fork is {given}, but there is no folder {path}: give the folder of a run, or RUN@STEP")
    return Fork(RunFolder(path), step)


def with_parents_config(words: list[str]) -> list[str]:
    """The words of a command line; a fork without a configuration gets its parent's.

    Raises:
        UserError: the fork names no run.
    """
    if any(word.partition("=")[0] in ("--config", "-c") for word in words):
        return words
    for position, word in enumerate(words):
        option, joined, value = word.partition("=")
        if option == "--fork" and (joined or position + 1 < len(words)):
            config = read_fork(value if joined else words[position + 1]).parent.config
            if not config.exists():
                raise UserError(f"{config} does not exist: give the configuration of the fork with --config")
            return [words[0], f"--config={config}", *words[1:]]
    return words


def check_same_fork(given: str, recorded: str | None, run: Path) -> None:
    """Check that a fork to resume is the one that was begun.

    Args:
        given: the option of the command line, or of a configuration file.
        recorded: parent and step in the checkpoint; None if the run is no fork.
        run: folder of the run.

    Raises:
        UserError: the run began elsewhere.
    """
    same = recorded and Path(given).resolve() in (Path(recorded).resolve(), Path(recorded.rpartition("@")[0]).resolve())
    if not same:
        began = f"was forked from {recorded}" if recorded else "is not a fork"
        raise UserError(f"{run} {began}, so --fork {given} cannot be resumed there: give another --run_dir, or leave "
                        "out --fork to resume the run")  # fmt: skip


def may_differ(name: str) -> bool:
    """Whether a setting may differ between a fork and its parent."""
    return any(f"{name}.".startswith(f"{other}.") for other in MAY_DIFFER)


def _step_of(path: Path) -> int | None:
    """The step of a checkpoint, without reading its tensors; None for other files."""
    try:
        step: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("global_step")
    except Exception:  # unpicklers raise anything on other files
        return None
    return step if isinstance(step, int) else None
