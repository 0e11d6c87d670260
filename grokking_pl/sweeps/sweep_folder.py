"""The folder of a sweep: what it is a sweep of, one folder per run, and one tidy table."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grokking_pl.runs import RunFolder
from grokking_pl.runs.files import claim_folder, write_table, writing
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
        self.seed = seed

    @property
    def table(self) -> Path:
        """One row per run: its parameters, how it ended, and all single values of its summary."""
        return self.path / "runs.csv"

    def run(self, number: int) -> RunFolder:
        """The folder of a run."""
        return RunFolder(self.path / "runs" / f"{number:04d}_{run_name(self.runs[number])}")

    def log(self, number: int) -> Path:
        """What a run printed."""
        return self.run(number).path.with_suffix(self.run(number).path.suffix + ".log")

    def claim(self) -> None:
        """See that the folder is of this sweep, or write down that it is.

        Raises:
            UserError: it holds another sweep, or cannot be written.
        """
        description = asdict(self.sweep) | {"seed": self.seed, "run_cap": None}
        claim_folder(self.path / "sweep.json", description, "sweep", "--folder")
        with writing(self.path, "choose another folder with --folder"):
            (self.path / "runs").mkdir(exist_ok=True)

    def is_finished(self, number: int) -> bool:
        """Whether a run has come to its end."""
        return self.run(number).read_summary().get("status") == "finished"

    def write_table(self, statuses: dict[int, str]) -> list[dict[str, Any]]:
        """Write the table anew from the summaries of all runs.

        Args:
            statuses: how each run ended that was not finished before, by its number.

        Raises:
            UserError: the disk is full or the folder has gone.
        """
        rows = [self._row(number, statuses.get(number, "finished")) for number in range(len(self.runs))]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with writing(self.table, "make room, then run the same command again"):
            write_table(self.table, columns, rows)
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
