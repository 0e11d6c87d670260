"""The metrics of a run as one CSV file: one row per step, one column per metric, intact after interruptions."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from grokking_pl.errors import UserError
from grokking_pl.runs.files import RESUME_ADVICE, whole_lines, write_table, writing

LATE_SHARE = 0.1
"""Fraction of late rows at which the file is rewritten to sort them in."""


class CSVMetrics(Logger):
    """Writes ``metrics.csv``, where metrics logged at the same step share a row, and ``hyperparameters.csv``.

    Lightning's CSV logger restarts its file when a run is resumed; this one continues after the step from which the run
    resumed, so that an interrupted run leaves the same file as an uninterrupted one.

    Args:
        path: path of the file.
        resume_step: keep the rows of an existing file up to this step; None starts a new file.
        earlier: the file whose rows are kept, if it is another one: that of a fork's parent.
    """

    def __init__(self, path: Path, resume_step: int | None = None, earlier: Path | None = None) -> None:
        super().__init__()
        self.path = path
        self._columns = ["step"]
        self._rows: dict[int, dict[str, Any]] = {}  # rows not yet in the file, by step
        self._started = False
        self._last_step = -math.inf  # last step in the file
        self._num_rows = 0  # rows in the file
        self._resume_step = resume_step
        self._earlier = earlier or path
        self._hyperparameters: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The logger's name."""
        return "csv"

    @property
    def version(self) -> str:
        """The single version: a run folder holds one run."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Write ``hyperparameters.csv`` beside the metrics, with one row per hyperparameter: name and value.

        For a resumed run it is written with the first metrics, since its checkpoint may not fit.
        """
        self._hyperparameters |= params if isinstance(params, Mapping) else vars(params)
        if self._started or self._resume_step is None:
            self._write_hyperparameters()

    def _write_hyperparameters(self) -> None:
        rows = [{"name": name, "value": value} for name, value in self._hyperparameters.items()]
        path = self.path.with_name("hyperparameters.csv")
        with writing(path, RESUME_ADVICE):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_table(path, ["name", "value"], rows)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add metrics to the row of a step, possibly after those of later steps.

        A step is the number of updates made. A module's own metrics come from Lightning, which adds the epoch and
        counts the last update from 0.
        """
        if not self._started:
            self._start()
        number = -1 if step is None else step + ("epoch" in metrics)
        self._rows.setdefault(number, {"step": number}).update(metrics)

    @rank_zero_only
    def save(self) -> None:
        """Write the rows in memory to the file, except a few that belong before rows already there.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        if self._started:
            late = sum(step <= self._last_step for step in self._rows)
            self._save(everything=late > LATE_SHARE * self._num_rows)

    @rank_zero_only
    def save_all(self) -> None:
        """Write all rows in memory to the file.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        self._save(everything=True)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the remaining rows, unless the run failed before its first metrics."""
        if self._started or status == "success":
            self.save_all()

    def _save(self, everything: bool) -> None:
        if not self._started:
            self._start()
        added = [self._rows[step] for step in sorted(self._rows) if everything or step > self._last_step]
        if not added:
            return
        new = dict.fromkeys(name for row in added for name in row if name not in self._columns)
        self._columns += new
        with writing(self.path, RESUME_ADVICE):
            if new or added[0]["step"] <= self._last_step:
                rows = {int(row["step"]): row for row in self._read()}
                for row in added:
                    rows.setdefault(row["step"], {}).update(row)
                write_table(self.path, self._columns, [rows[step] for step in sorted(rows)])
                self._num_rows = len(rows)
            else:
                with open(self.path, "a", newline="") as file:
                    csv.DictWriter(file, self._columns, lineterminator="\n").writerows(added)
                self._num_rows += len(added)
        self._last_step = max(self._last_step, added[-1]["step"])
        for row in added:
            del self._rows[row["step"]]

    def _start(self) -> None:
        self._started = True
        kept: list[dict[str, Any]] = []
        if self._resume_step is not None:
            kept = [row for row in read_rows(self._earlier) if int(row["step"]) <= self._resume_step]
            self._columns = list(kept[0]) if kept else self._columns
            self._last_step = int(kept[-1]["step"]) if kept else self._last_step
            self._num_rows = len(kept)
        with writing(self.path, RESUME_ADVICE):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_table(self.path, self._columns, kept)
        if self._hyperparameters and self._resume_step is not None:
            self._write_hyperparameters()

    def _read(self) -> list[dict[str, Any]]:
        return read_rows(self.path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the complete rows of a ``metrics.csv``; empty if there is no file.

    A process killed while writing leaves half a line at the end, which is ignored.

    Raises:
        UserError: it is not a table of metrics by step.
        OSError: it cannot be read.
    """
    try:
        reader = csv.reader(io.StringIO(whole_lines(path), newline=""), strict=True)
        columns = next(reader, ["step"])
        if columns[:1] != ["step"] or len({*columns}) < len(columns):
            raise _is_damaged(path, "its first line names no columns of metrics")
        rows: list[dict[str, Any]] = []
        last = -math.inf
        for cells in reader:
            if len(cells) != len(columns):
                raise _is_damaged(path, f"line {reader.line_num} has another number of columns than the first")
            if any("\0" in cell for cell in cells):
                raise _is_damaged(path, f"line {reader.line_num} is not text")
            if not _is_number(cells[0]) or int(cells[0]) <= last:
                raise _is_damaged(path, f"line {reader.line_num} begins with {cells[0][:20]!r}, which is no later step")
            last = int(cells[0])
            rows.append(dict(zip(columns, cells, strict=True)))
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, csv.Error):
        raise _is_damaged(path, "it is not text") from None
    return rows


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 20


def _is_damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} is damaged ({reason}): restore it from a copy, or move it away to resume without the metrics so far"
    )
