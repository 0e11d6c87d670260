"""The folder of a diagram: its grid, a table with one row per run, and the states of members still in training."""

import csv
import io
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from grokking_pl.errors import UserError
from grokking_pl.runs.files import atomic_file, claim_folder, is_taken, write_atomically, writing

RESULT_COLUMNS = [
    "seed", "steps_to_train", "steps_to_val", "phase", "train_accuracy", "val_accuracy",
    "steps_to_rqi", "rqi", "predicted_accuracy", "effective_dimension",
]  # fmt: skip

CURVE_COLUMNS = ["seed", "step", "train_accuracy", "val_accuracy", "rqi", "predicted_accuracy", "effective_dimension"]

PART = re.compile(r"(runs|curves)\.rank\d+\.csv")
"""The name of a part of a table, which one process of a job writes."""

ADVICE = "make room, then run the same command again"


@dataclass(frozen=True)
class Finished:
    """Which runs have ended.

    Args:
        flags: 1 for each run that has, by its number.
        phases: how many came to which phase.
    """

    flags: bytearray
    phases: Counter[str]

    def __len__(self) -> int:
        return self.phases.total()

    def left(self) -> Iterator[int]:
        """The numbers of the runs that have not ended."""
        return (index for index, flag in enumerate(self.flags) if not flag)


class DiagramFolder:
    """The files of a diagram. Rows are appended as runs end; a row half written by a killed process is run again.

    The first process of a job writes ``runs.csv``, every other one a part ``runs.rank<number>.csv``; the first merges
    them. So it is with ``curves.csv``, where curves are kept.

    Args:
        path: the folder.
        axes: the values on each axis of the grid; the last axis changes fastest.
        seeds: with which every cell is run; the seed changes slowest.
        rank: number of the process in its job.
        further: columns of ``runs.csv`` beside those that every diagram has.
    """

    def __init__(
        self,
        path: Path,
        axes: Mapping[str, Sequence[Any]],
        seeds: Sequence[int],
        rank: int = 0,
        further: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.axes = list(axes)
        self.columns = [*axes, *RESULT_COLUMNS, *further]
        self._positions = [{value_text(value): n for n, value in enumerate(axis)} for axis in (seeds, *axes.values())]
        self.curve_columns = [*axes, *CURVE_COLUMNS]
        part = "" if rank == 0 else f".rank{rank}"
        self._mine, self._my_curves = path / f"runs{part}.csv", path / f"curves{part}.csv"

    @property
    def table(self) -> Path:
        """The results, one row per run."""
        return self.path / "runs.csv"

    @property
    def curves(self) -> Path:
        """The curves of the runs, one row per step; cells are empty where nothing was measured."""
        return self.path / "curves.csv"

    def claim(self, description: dict[str, Any]) -> None:
        """Make the folder, or see that it holds the same diagram.

        Raises:
            UserError: it holds another one, or cannot be written.
        """
        record = self.path / "diagram.json"
        if self.table.exists() and not record.exists():
            raise is_taken(self.path, "a table of something else", "--folder")
        claim_folder(record, description, "diagram", "--folder")

    def check_files(self) -> None:
        """See that what the folder holds can be read and written, so that the diagram can be resumed.

        Raises:
            UserError: a table is damaged or of another diagram, or something else is in the place of a file.
        """
        for name, columns in (("runs", self.columns), ("curves", self.curve_columns)):
            for path in (self.path / f"{name}.csv", *self._parts(name)):
                if path.exists():
                    self._check_table(path, None if PART.fullmatch(path.name) else columns)
        for path in self.figures:
            if path.exists() and not path.is_file():
                raise UserError(
                    f"{path} is not a file, but the diagram writes one of this name: move it away to resume"
                )

    def _check_table(self, path: Path, columns: list[str] | None) -> None:
        """Read a table, or a part of one, which has no line of columns."""
        try:
            with open(path, encoding="utf-8", newline="") as file:
                header = None if columns is None else next(csv.reader([file.readline()]), [])
                for _ in file:
                    pass
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        except (ValueError, csv.Error):
            reason = "is damaged: it is no text"
        else:
            if header == columns:
                return
            reason = "has not the columns of this diagram"
        raise UserError(f"{path} {reason}: restore it from a copy, or move it away to train what it held again")

    # The table.

    def finished(self) -> Finished:
        """Which runs have ended, by the table and its parts."""
        flags, phases = bytearray(math.prod(map(len, self._positions))), Counter[str]()
        for index, phase, _ in self._lines():
            if not flags[index]:
                flags[index] = 1
                phases[phase] += 1
        return Finished(flags, phases)

    @property
    def figures(self) -> list[Path]:
        """The figure of the phases, in two formats."""
        return [self.path / f"phases.{ending}" for ending in ("png", "svg")]

    def is_tidy(self) -> bool:
        """Whether nothing is left of the work: no parts of tables, and no states of members."""
        return not (self._parts("runs") or self._parts("curves") or any((self.path / "checkpoints").glob("*.pt")))

    def merge(self) -> None:
        """Write the tables anew: every run once, in the order of their numbers, and no parts.

        Raises:
            UserError: the disk is full or the folder has gone.
        """
        lines = {(index, 0): line for index, _, line in self._lines()}
        curves = {
            (index, int(row[len(self.axes) + 1])): line
            for index, row, line in self.rows("curves", self.curve_columns)
            if (index, 0) in lines
        }
        self._write(self.table, self.columns, lines)
        if curves:
            self._write(self.curves, self.curve_columns, curves)
        for part in (*self._parts("runs"), *self._parts("curves")):
            part.unlink()

    def _parts(self, name: str) -> list[Path]:
        """The parts that other processes of a job wrote; no other file has such a name."""
        return sorted(path for path in self.path.glob(f"{name}.rank*.csv") if PART.fullmatch(path.name))

    def _write(self, path: Path, columns: list[str], lines: dict[tuple[int, int], str]) -> None:
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(columns)
        with writing(path, ADVICE):
            write_atomically(path, header.getvalue() + "".join(lines[key] for key in sorted(lines)))

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add runs to the table, or to this process's part of it.

        Raises:
            UserError: the disk is full or the folder has gone.
        """
        self._append(self._mine, self.columns, rows)

    def append_curves(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add points of the curves of runs that ended, or to this process's part of them.

        Raises:
            UserError: the disk is full or the folder has gone.
        """
        if self._my_curves == self.curves and not self.curves.exists():
            self._write(self.curves, self.curve_columns, {})
        self._append(self._my_curves, self.curve_columns, rows)

    def _append(self, path: Path, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for row in rows:
            writer.writerow(
                [value_text(row[name]) if name in self.axes else _result(row.get(name)) for name in columns]
            )
        with writing(path, ADVICE), open(path, "a", newline="") as file:
            file.write(text.getvalue())

    def _lines(self) -> Iterator[tuple[int, str, str]]:
        """Number, phase and line of every whole row of the table, as often as it was written."""
        phase = self.columns.index("phase")
        return ((index, row[phase], line) for index, row, line in self.rows("runs", self.columns))

    def rows(self, name: str, columns: list[str]) -> Iterator[tuple[int, list[str], str]]:
        """Number of the run, values and line of every whole row of a table and its parts."""
        axes = len(self.axes)
        for path in (self.path / f"{name}.csv", *self._parts(name)):
            if not path.exists():
                continue
            with open(path, newline="") as file:
                for line in file:
                    row = next(csv.reader([line]))
                    if not line.endswith("\n") or len(row) != len(columns):
                        continue
                    index = 0
                    for position, text in zip(self._positions, (row[axes], *row[:axes]), strict=True):
                        if text not in position:
                            break
                        index = index * len(position) + position[text]
                    else:
                        yield index, row, line

    # Members still in training.

    def save_states(self, name: str, states: dict[int, dict[str, Any]]) -> None:
        """Write the states of a worker's members.

        Raises:
            UserError: the disk is full or the folder has gone.
        """
        path = self.path / "checkpoints" / f"{name}.pt"
        with writing(path, ADVICE):
            path.parent.mkdir(exist_ok=True)
            with atomic_file(path) as file:
                torch.save(states, file)

    def load_states(self) -> dict[int, dict[str, Any]]:
        """The latest state of every member that was still in training."""
        states: dict[int, dict[str, Any]] = {}
        for file in (self.path / "checkpoints").glob("*.pt"):
            try:
                saved = torch.load(file, weights_only=True)
                saved = {int(index): state for index, state in saved.items() if state["tracking"]["step"] >= 0}
            except Exception:  # whatever damaged bytes make of it
                print(f"{file} is damaged: the runs that were on their way in it begin anew", file=sys.stderr)
                continue
            for index, state in saved.items():
                if index not in states or states[index]["tracking"]["step"] < state["tracking"]["step"]:
                    states[index] = state
        return states

    def gather_states(self) -> None:
        """Make one file of all states, so that no worker to come overwrites those of one that was."""
        states = self.load_states()
        for index, flag in enumerate(self.finished().flags):
            if flag:
                states.pop(index, None)
        self.save_states("resumed", states)
        for file in (self.path / "checkpoints").glob("*.pt"):
            if file.name != "resumed.pt":
                file.unlink()

    def drop_states(self) -> None:
        """Remove all states: every run has ended."""
        for file in (self.path / "checkpoints").glob("*.pt"):
            file.unlink()


def value_text(value: Any) -> str:
    """A value of an axis as it is written in tables: a number with up to twelve digits, so 1e-05 and 0.3.

    >>> value_text(10**-5 * 0.9999999999999999), value_text(3), value_text(None)
    ('1e-05', '3', 'null')
    """
    if isinstance(value, float):
        return f"{value:.12g}"
    return value if isinstance(value, str) else json.dumps(value)


def _result(value: Any) -> str:
    """A result as text; empty for never and for not measured."""
    if isinstance(value, str):
        return value
    return "" if value is None or math.isnan(value) else repr(value)
