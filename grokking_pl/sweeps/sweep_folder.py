"""The folder of a sweep: its description, one folder per run, and one table."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from grokking_pl.runs import RunFolder
from grokking_pl.runs.csv_metrics import read_rows
from grokking_pl.runs.files import claim_folder, write_table, writing
from grokking_pl.runs.naming import run_name
from grokking_pl.sweeps.sweep_file import SweepFile


class SweepFolder:
    """``sweep.json``, ``runs.csv``, and ``runs/``, with folders named by number and parameters.

    Args:
        path: the folder.
        sweep: the sweep.
        runs: parameters of each run.
        seed: seed of random runs.
    """

    def __init__(self, path: Path, sweep: SweepFile, runs: list[dict[str, Any]], seed: int) -> None:
        self.path = path
        self.sweep = sweep
        self.runs = runs
        self.seed = seed

    @property
    def table(self) -> Path:
        """The table, one row per run: parameters, status, and all scalar values of the summary."""
        return self.path / "runs.csv"

    def run(self, number: int) -> RunFolder:
        """The folder of a run."""
        return RunFolder(self.path / "runs" / f"{number:04d}_{run_name(self.runs[number])}")

    def log(self, number: int) -> Path:
        """The file with a run's output."""
        return self.run(number).path.with_suffix(self.run(number).path.suffix + ".log")

    def claim(self) -> None:
        """Check that the folder belongs to this sweep, or record it.

        Raises:
            UserError: the folder has another sweep, or is not writable.
        """
        description = asdict(self.sweep) | {"seed": self.seed, "run_cap": None}
        claim_folder(self.path / "sweep.json", description, "sweep", "--folder")
        with writing(self.path, "choose another folder with --folder"):
            (self.path / "runs").mkdir(exist_ok=True)

    def is_finished(self, number: int) -> bool:
        """Whether a run is finished."""
        return self.run(number).read_summary().get("status") == "finished"

    def write_table(self, statuses: dict[int, str]) -> list[dict[str, Any]]:
        """Rewrite the table from the summaries of all runs.

        Args:
            statuses: exit status of each run that was unfinished before, by run number.

        Raises:
            UserError: the disk is full or the folder is gone.
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
    """The last value of a metric that is logged but not in the summary."""
    values = [row[name] for row in read_rows(metrics) if row.get(name)]
    return float(values[-1]) if values else None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].removeprefix("grok: error: ") if lines else ""
