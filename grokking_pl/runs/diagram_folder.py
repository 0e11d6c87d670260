"""The folder of a diagram: its grid, a table with one row per run, their curves, and what is left to train."""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokking_pl.errors import UserError
from grokking_pl.runs.files import claim_folder, is_taken, write_atomically, writing
from grokking_pl.runs.member_states import MemberStates

RESULT_COLUMNS = [
    "seed", "steps_to_train", "steps_to_val", "phase", "train_accuracy", "val_accuracy",
    "steps_to_rqi", "rqi", "predicted_accuracy", "effective_dimension",
]  # fmt: skip

CURVE_COLUMNS = ["seed", "step", "train_accuracy", "val_accuracy", "rqi", "predicted_accuracy", "effective_dimension"]

PART = re.compile(r"(runs|curves)\.rank\d+\.csv")
"""The name of a part of a table, which one process of a job writes."""

ADVICE = "make room, then run the same command again"
WITHOUT = {"runs": "to train its runs again", "curves": "to continue without the curves of the runs that have ended"}
"""What becomes of a diagram without a table."""


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

    Attributes:
        states: the states of members that are still in training.
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
        self._runs = math.prod(map(len, self._positions))
        self.states = MemberStates(path / "checkpoints", self._runs)
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

    @property
    def standings(self) -> Path:
        """How the contenders of a tournament did, one row per contender."""
        return self.path / "standings.csv"

    def write_standings(self, text: str) -> None:
        """Write the standings.

        Raises:
            UserError: the disk is full or the folder has gone.
        """
        with writing(self.standings, ADVICE):
            write_atomically(self.standings, text)

    def claim(self, description: dict[str, Any]) -> None:
        """Make the folder, or see that it holds the same diagram.

        Raises:
            UserError: it holds another one, or cannot be written.
        """
        record = self.path / "diagram.json"
        if self.table.exists() and not record.exists():
            raise is_taken(self.path, "a table of something else", "--folder")
        claim_folder(record, description, "diagram", "--folder")

    def check(self) -> None:
        """See that all can be read, and that nothing is in the place of a figure, before anything is written.

        Raises:
            UserError: a file is damaged, or something else is in its place.
        """
        for figure in self.figures:
            if figure.exists() and not figure.is_file():
                raise UserError(f"{figure} is not a file, but the diagram writes one of this name: move it away")
        for name, columns in (("runs", self.columns), ("curves", self.curve_columns)):
            for _ in self.rows(name, columns):
                pass
        self.states.load()

    # The tables.

    def finished(self) -> Finished:
        """Which runs have ended, by the table and its parts.

        Raises:
            UserError: one of them is damaged.
        """
        flags, phases = bytearray(self._runs), Counter[str]()
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
        return not (self._parts("runs") or self._parts("curves") or self.states)

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
        if curves or self.curves.exists():  # it may end with half a line
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
        """Number of the run, values and line of every whole row of a table and its parts.

        Half a line at the end of a file is what a killed process leaves, and no row.

        Raises:
            UserError: one of the files is damaged otherwise.
        """
        table = self.path / f"{name}.csv"
        for path in (table, *self._parts(name)):
            if not path.exists():
                continue
            try:
                with open(path, encoding="utf-8", newline="") as file:
                    if path == table and next(csv.reader([file.readline()]), []) != columns:
                        raise _BadLine("its columns are not those of this diagram")
                    for line in file:
                        row = self._read_row(line, columns)
                        if row is not None:
                            yield (*row, line)
            except UnicodeDecodeError:
                raise _is_damaged(path, name, "it holds bytes that are no text") from None
            except (OSError, csv.Error, _BadLine) as error:
                raise _is_damaged(path, name, getattr(error, "strerror", None) or str(error)) from None

    def _read_row(self, line: str, columns: list[str]) -> tuple[int, list[str]] | None:
        """Number of the run, and the values, of a line; None if it is half of one."""
        if not line.endswith("\n"):
            if not line.isprintable():
                raise _BadLine("its last line holds what is no text")
            return None
        axes = len(self.axes)
        row = next(csv.reader([line]), [])
        if len(row) != len(columns):
            raise _BadLine(f"a line has {len(row)} values instead of {len(columns)}")
        index = 0
        for name, position, text in zip(("seed", *self.axes), self._positions, (row[axes], *row[:axes]), strict=True):
            if text not in position:
                raise _BadLine(f"a line has {text!r} as its {name}, which the diagram does not have")
            index = index * len(position) + position[text]
        for name, text in zip(columns[axes + 1 :], row[axes + 1 :], strict=True):
            if name == "step" or (text and name != "phase"):
                try:
                    int(text) if name == "step" else float(text)
                except ValueError:
                    raise _BadLine(f"a line has {text!r} as its {name}, which is no number") from None
        return index, row


class _BadLine(Exception):
    """What is wrong with a line of a table."""


def _is_damaged(path: Path, name: str, reason: str) -> UserError:
    return UserError(f"{path} is damaged ({reason}): restore it from a copy, or move it away {WITHOUT[name]}")


def value_text(value: Any) -> str:
    """A value of an axis as it is written in tables: a number with up to twelve digits, so 1e-05 and 0.3.

    >>> value_text(10**-5 * 0.9999999999999999), value_text(3), value_text(None)
    ('1e-05', '3', 'null')
    >>> value_text({"class_path": "CrossEntropy", "init_args": {"label_smoothing": 0.1}})
    'CrossEntropy(label_smoothing=0.1)'
    """
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, Mapping) and "class_path" in value:
        options = value.get("init_args") or {}
        return f"{value['class_path']}({', '.join(f'{name}={value_text(options[name])}' for name in options)})"
    return value if isinstance(value, str) else json.dumps(value)


def _result(value: Any) -> str:
    """A result as text; empty for never and for not measured."""
    if isinstance(value, str):
        return value
    return "" if value is None or math.isnan(value) else repr(value)
