"""A fork: a run that begins from the checkpoint of another, with other settings, in a folder of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from grokking_pl.errors import UserError
from grokking_pl.runs import RunFolder

MAY_DIFFER = ("trainer.callbacks", "trainer.gradient_clip_val", "trainer.gradient_clip_algorithm", "model.loss",
              "model.output_scale")  # fmt: skip
"""What may be another in a fork, with all that is in it, besides what may change in any run."""


@dataclass(frozen=True)
class Fork:
    """What a run begins from.

    Args:
        parent: the other run.
        step: the step of the checkpoint; None for its last.
    """

    parent: RunFolder
    step: int | None

    def checkpoint(self) -> Path:
        """The file of the checkpoint.

        Raises:
            UserError: the run has none of this step.
        """
        if self.step is None:
            if not self.parent.checkpoint.exists():
                raise UserError(
                    f"{self.parent.path} holds no checkpoint to fork: give the folder of a run that has one"
                )
            return self.parent.checkpoint
        steps = {}
        # Those that have the step in their name, as most do, are read first.
        for path in sorted(
            self.parent.checkpoint.parent.glob("*.ckpt"), key=lambda path: str(self.step) not in path.name
        ):
            steps[_step_of(path)] = path
            if self.step in steps:
                return path
        known = ", ".join(str(step) for step in sorted(step for step in steps if step is not None))
        has = f"it has those of steps {known}" if known else "it has none"
        raise UserError(f"{self.parent.path} has no checkpoint of step {self.step}: {has}")


def read_fork(given: str) -> Fork:
    """What ``RUN`` or ``RUN@STEP`` names.

    Raises:
        UserError: there is no such folder, it holds no run, or the step is no number.
    """
    path, step = Path(given), None
    if not path.is_dir():
        folder, at, number = given.rpartition("@")
        if at:
            path = Path(folder)
            if not number.isdecimal():
                raise UserError(f"fork is {given}, whose step is {number!r}: give it as RUN@STEP, as runs/toy@2000")
            step = int(number)
    if not path.is_dir():
        raise UserError(f"fork is {given}, but there is no folder {path}: give the folder of a run, or RUN@STEP")
    return Fork(RunFolder(path), step)


def with_parents_config(words: list[str]) -> list[str]:
    """The words of a command line; a fork that names no configuration begins with that of its parent.

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
                raise UserError(f"{config} does not exist: say the configuration of the fork with --config")
            return [words[0], f"--config={config}", *words[1:]]
    return words


def may_differ(name: str) -> bool:
    """Whether a setting may be another in a fork than in its parent."""
    return any(f"{name}.".startswith(f"{other}.") for other in MAY_DIFFER)


def _step_of(path: Path) -> int | None:
    """The step of a checkpoint, without reading its tensors; None if it is none."""
    try:
        step: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("global_step")
    except Exception:  # whatever a file that is no checkpoint makes an unpickler do
        return None
    return step if isinstance(step, int) else None
