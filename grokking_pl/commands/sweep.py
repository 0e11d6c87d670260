"""``grok sweep``: run a sweep in W&B's schema without a server, and write one table."""

import signal
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from rich.table import Table

from grokking_pl.commands.bundled import config_path
from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.failure import stop_on_sigterm
from grokking_pl.commands.parser import GrokParser
from grokking_pl.commands.quiet import quieten
from grokking_pl.commands.rehearsal import rehearse
from grokking_pl.commands.tables import print_table
from grokking_pl.errors import UserError
from grokking_pl.runs.files import FolderLock
from grokking_pl.runs.naming import run_name
from grokking_pl.sweeps.expansion import expand
from grokking_pl.sweeps.processes import run_processes
from grokking_pl.sweeps.sweep_file import SweepFile, read_sweep
from grokking_pl.sweeps.sweep_folder import SweepFolder

RUNS = Path("runs/sweeps")
STOPPED = {sign * number + most for number in (signal.SIGINT, signal.SIGTERM) for sign, most in ((-1, 0), (1, 128))}
"""Exit statuses of a stopped process, including one stopped before its handlers were installed."""


def run(words: list[str]) -> None:
    """Run the command; the status is 1 if a run failed."""
    quieten()
    stop_on_sigterm()
    if run_sweep(build_parser(words[0]).parse_args(words[1:])):
        sys.exit(1)


def build_parser(name: str) -> GrokParser:
    """The command's options."""
    parser = GrokParser(
        prog=f"grok {name}", usage=f"grok {name} FILE [--jobs N] [--key value ...]", description=COMMANDS[name].about
    )
    parser.add_argument("file", type=Path, help="The sweep, in the schema of Weights & Biases.")
    parser.add_argument("--jobs", type=int, default=1, help="Number of runs at a time.")
    parser.add_argument("--count", type=int | None, help="Number of runs; by default run_cap, or the whole grid.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of a random sweep.")
    parser.add_argument("--folder", type=Path | None, help="Folder; by default runs/sweeps/ plus the sweep's name.")
    parser.add_argument("--check", action="store_true", help="Check the sweep without training.")
    return parser


def run_sweep(config: Namespace) -> int:
    """Train the unfinished runs of a sweep, and write the table.

    Returns:
        The number of runs that failed.

    Raises:
        UserError: a setting or the sweep is invalid; no run was started.
    """
    if config.jobs < 1:
        raise UserError(f"jobs is {config.jobs}; it must be at least 1")
    if config.seed < 0:
        raise UserError(f"seed is {config.seed}; it must be at least 0")
    config.file = Path(config_path(str(config.file)))
    sweep = read_sweep(config.file)
    if config.check and sweep.method != "grid":
        # The choices of W&B's server are unknown: a random point stands for all.
        runs = expand(SweepFile(**{**vars(sweep), "method": "random"}), 1, config.seed)
    else:
        runs = expand(sweep, config.count, config.seed)
    if config.check:
        rehearse(sweep, runs[0])
        print(f"{config.file} is valid; its first run: {run_name(runs[0])}")
        return 0
    folder = SweepFolder(Path(config.folder or RUNS / config.file.stem), sweep, runs, config.seed)
    if not any(map(folder.is_finished, range(len(runs)))):
        rehearse(sweep, runs[0])
    with FolderLock(folder.path, "--folder") as lock:
        folder.claim()
        rows = _train(folder, config.jobs, lock)
    _print_table(folder, rows)
    return sum(row["status"] == "failed" for row in rows)


def _train(folder: SweepFolder, jobs: int, lock: FolderLock) -> list[dict[str, Any]]:
    """Train the unfinished runs, print the status of each, and return the rows of the table."""
    waiting = [number for number in range(len(folder.runs)) if not folder.is_finished(number)]
    done = len(folder.runs) - len(waiting)
    words = f"{len(folder.runs)} runs" + (f", {done} of them finished" if done else "")
    print(f"sweep in {folder.path}: {words}", file=sys.stderr, flush=True)
    statuses = dict.fromkeys(waiting, "waiting")
    start = time.monotonic()

    def ended(number: int, code: int) -> None:
        was_stopped = folder.run(number).read_summary().get("status") == "interrupted" or code in STOPPED
        statuses[number] = "interrupted" if was_stopped else "finished" if code == 0 else "failed"
        row = folder.write_table(statuses)[number]
        outcome = row["error"] if row["status"] == "failed" else row.get("phase", "")
        left = sum(status == "waiting" for status in statuses.values())
        seconds = timedelta(seconds=round(time.monotonic() - start))
        print(f"{row['run']} · {row['status']} · {outcome} · {left} to go · {seconds}", file=sys.stderr, flush=True)

    folder.write_table(statuses)
    run_processes(folder, waiting, jobs, lock.descriptor, ended)
    return folder.write_table(statuses)


def _print_table(folder: SweepFolder, rows: list[dict[str, Any]]) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2))
    for status, count in Counter(row["status"] for row in rows).items():
        table.add_row(f"runs {status}", str(count))
    for phase, count in Counter(row["phase"] for row in rows if row.get("phase")).items():
        table.add_row(phase, str(count))
    metric = folder.sweep.metric or ""
    scored = [row for row in rows if row["status"] == "finished" and isinstance(row.get(metric), int | float)]
    if scored:
        best = (max if folder.sweep.maximise else min)(scored, key=lambda row: row[metric])
        table.add_row(f"best {metric}", f"{best[metric]:.6g} in {best['run']}")
    table.add_row("table", str(folder.table))
    print_table(table)
