"""The folder of a diagram: its grid, a table with one row per run, their curves, and unfinished states."""

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

MARKS = "marks.json"
"""Values of a single axis that the figure marks, such as the theory's critical fraction."""

PART = re.compile(r"(runs|curves)\.rank\d+\.csv")
"""Name of a part of a table, written by one process of a job."""

ADVICE = "make room, then run the same command again"
WITHOUT = {"runs": "to train its runs again", "curves": "to continue without the curves of the finished runs"}
"""Consequence of a missing table."""


@dataclass(frozen=True)
class Finished:
    """The finished runs.

    Args:
        flags: 1 for each finished run, by run number.
        phases: number of finished runs in each phase.
    """

    flags: bytearray
    phases: Counter[str]

    def __len__(self) -> int:
        return self.phases.total()

    def left(self) -> Iterator[int]:
        """The numbers of the unfinished runs."""
        return (index for index, flag in enumerate(self.flags) if not flag)


def read_marks(path: Path) -> dict[str, float]:
    """Read the values that the figure of a diagram marks, by label; empty if it has no marks.

    Args:
        path: folder of the diagram.

    Raises:
        UserError: the file is damaged.
    """
    file = path / MARKS
    if not file.exists():
        return {}
    try:
        return {str(label): float(value) for label, value in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        raise UserError(f"{file} is damaged (no values by label): remove it, or restore it from a copy") from None


class DiagramFolder:
    """The files of a diagram. Rows are appended as runs end; a row half written by a killed process is trained again.

    The first process of a job writes ``runs.csv``, each other one a part ``runs.rank<number>.csv``, which the first
    merges. The same holds for ``curves.csv``, if curves are kept.

    Args:
        path: the folder.
        axes: values on each axis of the grid; the last axis changes fastest.
        seeds: seeds of every cell; the seed changes slowest.
        rank: rank of the process in its job.
        further: columns of ``runs.csv`` in addition to those of every diagram.

    Attributes:
        states: states of the members still in training.
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
        """The curves of the runs, one row per step; cells without a measurement are empty."""
        return self.path / "curves.csv"

    @property
    def standings(self) -> Path:
        """The standings of a tournament, one row per contender."""
        return self.path / "standings.csv"

    def write_standings(self, text: str) -> None:
        """Write the standings.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        with writing(self.standings, ADVICE):
            write_atomically(self.standings, text)

    def write_marks(self, marks: Mapping[str, float]) -> None:
        """Write the values of a single axis that the figure marks, by label; without marks, no file.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        if marks:
            with writing(self.path / MARKS, ADVICE):
                write_atomically(self.path / MARKS, f"{json.dumps(marks, indent=1)}\n")

    def claim(self, description: dict[str, Any]) -> None:
        """Create the folder, or check that it holds the same diagram.

        Raises:
            UserError: it holds another diagram, or is not writable.
        """
        record = self.path / "diagram.json"
        if self.table.exists() and not record.exists():
            raise is_taken(self.path, "a table of something else", "--folder")
        claim_folder(record, description, "diagram", "--folder")

    def check(self) -> None:
        """Check that all files can be read and no figure's name is taken, before anything is written.

        Raises:
            UserError: a file is damaged, or something else has its name.
        """
        for figure in self.figures:
            if figure.exists() and not figure.is_file():
                raise UserError(f"{figure} is not a file, but the diagram writes a file of this name: move it away")
        for name, columns in (("runs", self.columns), ("curves", self.curve_columns)):
            for _ in self.rows(name, columns):
                pass
        self.states.load()

    # Tables.

    def finished(self) -> Finished:
        """The finished runs, from the table and its parts.

        Raises:
            UserError: a table is damaged.
        """
        flags, phases = bytearray(self._runs), Counter[str]()
        for index, phase, _ in self._lines():
            if not flags[index]:
                flags[index] = 1
                phases[phase] += 1
        return Finished(flags, phases)

    @property
    def figures(self) -> list[Path]:
        """The phase diagram's figure, in two formats."""
        return [self.path / f"phases.{ending}" for ending in ("png", "svg")]

    def is_tidy(self) -> bool:
        """Whether no parts of tables and no states of members are left."""
        return not (self._parts("runs") or self._parts("curves") or self.states)

    def merge(self) -> None:
        """Rewrite the tables: each run once, in order, without parts.

        Raises:
            UserError: the disk is full or the folder is gone.
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
        """The parts written by other processes of a job."""
        return sorted(path for path in self.path.glob(f"{name}.rank*.csv") if PART.fullmatch(path.name))

    def _write(self, path: Path, columns: list[str], lines: dict[tuple[int, int], str]) -> None:
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(columns)
        with writing(path, ADVICE):
            write_atomically(path, header.getvalue() + "".join(lines[key] for key in sorted(lines)))

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append runs to the table, or to this process's part of it.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        self._append(self._mine, self.columns, rows)

    def append_curves(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append points of finished runs to the curves, or to this process's part of them.

        Raises:
            UserError: the disk is full or the folder is gone.
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
        """Number, phase and line of every complete row of the table, duplicates included."""
        phase = self.columns.index("phase")
        return ((index, row[phase], line) for index, row, line in self.rows("runs", self.columns))

    def rows(self, name: str, columns: list[str]) -> Iterator[tuple[int, list[str], str]]:
        """Run number, values and line of every complete row of a table and its parts.

        Half a line at the end of a file comes from a killed process and is ignored.

        Raises:
            UserError: a file is damaged in another way.
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
                raise _is_damaged(path, name, "it is not text") from None
            except (OSError, csv.Error, _BadLine) as error:
                raise _is_damaged(path, name, getattr(error, "strerror", None) or str(error)) from None

    def _read_row(self, line: str, columns: list[str]) -> tuple[int, list[str]] | None:
        """Run number and values of a line; None for half a line."""
        if not line.endswith("\n"):
            if not line.isprintable():
                raise _BadLine("its last line is not text")
            return None
        axes = len(self.axes)
        row = next(csv.reader([line]), [])
        if len(row) != len(columns):
            raise _BadLine(f"a line has {len(row)} values instead of {len(columns)}")
        index = 0
        for name, position, text in zip(("seed", *self.axes), self._positions, (row[axes], *row[:axes]), strict=True):
            if text not in position:
                raise _BadLine(f"a line has {name} {text!r}, which the diagram does not have")
            index = index * len(position) + position[text]
        for name, text in zip(columns[axes + 1 :], row[axes + 1 :], strict=True):
            if name == "step" or (text and name != "phase"):
                try:
                    int(text) if name == "step" else float(text)
                except ValueError:
                    raise _BadLine(f"a line has {name} {text!r}, which is not a number") from None
        return index, row


class _BadLine(Exception):
    """A line of a table is invalid."""


def _is_damaged(path: Path, name: str, reason: str) -> UserError:
    return UserError(f"{path} is damaged ({reason}): restore it from a copy, or move it away {WITHOUT[name]}")


def value_text(value: Any) -> str:
    """Format an axis value for tables: numbers with up to twelve digits, so 1e-05 and 0.3.

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
    """Format a result; empty for never and for not measured."""
    if isinstance(value, str):
        return value
    return "" if value is None or math.isnan(value) else repr(value)
