"""The folder of a sweep: what it is a sweep of, a folder a run, and one tidy table."""

import csv
import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from grokking_pl.errors import UserError
from grokking_pl.runs import RunFolder
from grokking_pl.runs.naming import run_name
from grokking_pl.sweeps.sweep_file import SweepFile


class SweepFolder:
    """``sweep.json``, ``runs.csv``, and ``runs/``, whose folders tell each run's number and parameters.

    Args:
        path: the folder.
        sweep: what it is a sweep of.
        runs: the parameters of each run.
        seed: of random runs.
    """

    def __init__(self, path: Path, sweep: SweepFile, runs: list[dict[str, Any]], seed: int) -> None:
        self.path = path
        self.sweep = sweep
        self.runs = runs
        self._claim = asdict(sweep) | {"seed": seed, "run_cap": None}
        self._lock: IO[str] | None = None

    @property
    def table(self) -> Path:
        """A row a run: its parameters, how it ended, and all single values of its summary."""
        return self.path / "runs.csv"

    def run(self, number: int) -> RunFolder:
        """The folder of a run."""
        return RunFolder(self.path / "runs" / f"{number:04d}_{run_name(self.runs[number])}")

    def log(self, number: int) -> Path:
        """What a run printed."""
        return self.run(number).path.with_suffix(self.run(number).path.suffix + ".log")

    def claim(self) -> int:
        """Make the folder, or see that it is of this sweep and that nobody works in it.

        Returns:
            A file descriptor that the runs inherit: while one of them lives, nobody else can claim the folder.

        Raises:
            UserError: it holds another sweep, is worked in, or cannot be written.
        """
        try:
            (self.path / "runs").mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / ".lock", "w")  # noqa: SIM115 (held for the life of the process)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another grok sweep, or a run that it left behind, works in {self.path}: wait for it, or choose "
                "another folder with --folder"
            ) from None
        except OSError as error:
            raise UserError(
                f"cannot write to the sweep's folder {self.path} ({error.strerror}): choose another with --folder"
            ) from None
        said = self.path / "sweep.json"
        if said.exists():
            before = json.loads(said.read_text())
            different = [name for name, value in json.loads(json.dumps(self._claim)).items() if before[name] != value]
            if different:
                raise UserError(
                    f"{self.path} holds a sweep whose {' and '.join(different)} differ: choose another folder with "
                    "--folder, or delete this one"
                )
        else:
            said.write_text(json.dumps(self._claim, indent=2) + "\n")
        return self._lock.fileno()

    def release(self) -> None:
        """Let others claim the folder."""
        if self._lock:
            self._lock.close()

    def is_finished(self, number: int) -> bool:
        """Whether a run has come to its end."""
        return self.run(number).read_summary().get("status") == "finished"

    def write_table(self, statuses: dict[int, str]) -> list[dict[str, Any]]:
        """Write the table anew, atomically, from the summaries of all runs.

        Args:
            statuses: how each run ended that was not finished before, by its number.
        """
        rows = [self._row(number, statuses.get(number, "finished")) for number in range(len(self.runs))]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        temporary = self.table.with_suffix(".tmp")
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, self.table)
        return rows

    def _row(self, number: int, status: str) -> dict[str, Any]:
        run = self.run(number)
        summary = {name: value for name, value in run.read_summary().items() if not isinstance(value, dict | list)}
        row: dict[str, Any] = {"run": run.path.name, "status": status, **self.runs[number]}
        row |= {name: value for name, value in summary.items() if name != "status"}
        metric = self.sweep.metric
        if metric is not None and metric not in row:
            row[metric] = _last_logged(run.metrics, metric)
        row["error"] = _last_line(self.log(number)) if status == "failed" else ""
        return row


def _last_logged(metrics: Path, name: str) -> float | None:
    """The last value of a metric that is logged but not summed up."""
    if not metrics.exists():
        return None
    with open(metrics, newline="") as file:
        values = [row[name] for row in csv.DictReader(file) if row.get(name)]
    return float(values[-1]) if values else None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].removeprefix("grok: error: ") if lines else ""
