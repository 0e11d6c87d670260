"""States of a diagram's unfinished members, for resuming after an interruption."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from grokking_pl.errors import UserError
from grokking_pl.runs.files import atomic_file, writing

MemberState = dict[str, Any]
"""Parameters, moments, states of interventions, progress and observations of a member."""

TENSORS = ("parameters", "first", "second")
KINDS: dict[str, type] = {"step": int, "since": list, "reached": list, "final": list}
"""Entries that record a member's progress."""

GATHERED = "resumed"


class MemberStates:
    """The state files in a diagram's folder, one per worker, written atomically.

    Args:
        path: folder of the files.
        runs: number of runs of the diagram.
    """

    def __init__(self, path: Path, runs: int) -> None:
        self._path = path
        self._runs = runs

    def __bool__(self) -> bool:
        """Whether there are any files."""
        return any(self._path.glob("*.pt"))

    def save(self, name: str, states: Mapping[int, MemberState]) -> None:
        """Write the states of a worker's members, by run number.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        file = self._path / f"{name}.pt"
        with writing(file, "make room, then run the same command again"):
            self._path.mkdir(exist_ok=True)
            with atomic_file(file) as opened:
                torch.save(dict(states), opened)

    def load(self) -> dict[int, MemberState]:
        """Read the latest state of every unfinished member.

        Raises:
            UserError: a file is damaged, or something else has its name.
        """
        if self._path.exists() and not self._path.is_dir():
            raise UserError(f"{self._path} is not a folder, but the diagram needs this folder: move it away")
        states: dict[int, MemberState] = {}
        for file in sorted(self._path.glob("*.pt")):
            for index, state in self._load_file(file).items():
                if index not in states or states[index]["tracking"]["step"] < state["tracking"]["step"]:
                    states[index] = state
        return states

    def gather(self, states: Mapping[int, MemberState], unfinished: Iterable[int]) -> None:
        """Merge all states into one file, so that new workers do not overwrite those of earlier ones.

        Args:
            states: result of `load`.
            unfinished: numbers of the unfinished runs; other states are dropped.
        """
        self.save(GATHERED, {index: states[index] for index in unfinished if index in states})
        for file in self._path.glob("*.pt"):
            if file.stem != GATHERED:
                file.unlink()

    def drop(self) -> None:
        """Remove all states: every run has ended."""
        for file in self._path.glob("*.pt"):
            file.unlink()

    def _load_file(self, file: Path) -> dict[int, MemberState]:
        try:
            saved = torch.load(file, weights_only=True, map_location="cpu")
        except MemoryError:
            raise
        except Exception as error:  # unpicklers raise anything on other files
            raise _is_damaged(file, getattr(error, "strerror", None) or "it holds no states") from None
        if not isinstance(saved, dict):
            raise _is_damaged(file, "it holds no states")
        for index, state in saved.items():
            if not (isinstance(index, int) and 0 <= index < self._runs):
                raise _is_damaged(file, f"it has run {index!r}, which the diagram does not have")
            if not _is_whole(state):
                raise _is_damaged(file, f"it lacks a part of the state of run {index}")
        return saved


def _is_whole(state: Any) -> bool:
    try:
        weights, first, second = ({name: value.shape for name, value in state[part].items()} for part in TENSORS)
        tracked = all(isinstance(state["tracking"][name], kind) for name, kind in KINDS.items())
        kept = isinstance(state["interventions"], list) and isinstance(state["observed"], dict)
        # Optimizers without second moments store numbers instead.
        moments = weights.keys() == second.keys() and all(second[name] in (weights[name], ()) for name in weights)
        return weights == first != {} and moments and tracked and kept
    except (AttributeError, KeyError, TypeError):
        return False


def _is_damaged(file: Path, reason: str) -> UserError:
    return UserError(
        f"{file} is damaged ({reason}): restore it from a copy, or move it away to train its runs from the start"
    )
