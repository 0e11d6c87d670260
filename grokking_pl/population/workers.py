"""Training processes, one per core; a process that dies loses only its own members."""

import contextlib
import os
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from grokking_pl.errors import UserError, describe_error
from grokking_pl.population.outcome import Report
from grokking_pl.population.training import Job, Plan, Source, train_cells
from grokking_pl.population.worker_process import end_early_worker, take_worker
from grokking_pl.runs.diagram_folder import DiagramFolder
from grokking_pl.runs.error_log import kept_traceback

TakeReport = Callable[[Report], None]
"""Receives a worker's report."""


def train_in_processes(
    plan: Plan,
    jobs: Iterator[Job],
    folder: DiagramFolder,
    take: TakeReport,
    workers: int,
    name: str,
) -> None:
    """Train cells in ``workers`` processes, passing every report to ``take``.

    Args:
        plan: the diagram.
        jobs: cells to train, with the states of resumed members.
        folder: folder of the diagram.
        take: receives every report.
        workers: number of processes.
        name: prefix of the names of the state files.

    Raises:
        UserError: a worker raised a `UserError` or died; the others have finished.
    """
    processes: dict[connection.Connection, BaseProcess] = {}
    failures: list[str] = []
    for _ in range(workers):
        process, ours = take_worker()
        processes[ours] = process
    for number, worker in enumerate(processes):
        with contextlib.suppress(ConnectionError):  # one that has died is noticed below
            worker.send((plan, f"{name}_{number}", folder.path, os.getcwd()))
    try:
        while processes:
            for pipe in connection.wait(list(processes)):
                assert isinstance(pipe, connection.Connection)
                try:
                    kind, content = pipe.recv()
                    if kind == "fetch":
                        pipe.send(list(islice(jobs, content)))
                        continue
                except (EOFError, ConnectionError):
                    process = processes.pop(pipe)
                    process.join()
                    if process.exitcode:
                        failures.append(f"a worker ended with status {process.exitcode}")
                    continue
                if kind == "report":
                    take(content)
                else:
                    failures.append(content)
                    jobs = iter(())
    finally:
        for pipe in processes:
            pipe.close()  # the worker notices and saves its members
        for process in processes.values():
            process.join(20)
    if failures:
        raise UserError(f"{failures[0]}; finished runs are kept: run the same command again to resume")


class _Pipe(Source):
    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def fetch(self, count: int) -> list[Job]:
        self._pipe.send(("fetch", count))
        jobs: list[Job] = self._pipe.recv()
        return jobs

    def report(self, report: Report) -> None:
        self._pipe.send(("report", report))


def work(pipe: connection.Connection, plan: Plan, name: str, path: Path, where_the_user_works: str) -> None:
    """Train cells in a process of their own; the pipe passes jobs and reports, other arguments as in `train_cells`."""
    os.chdir(where_the_user_works)
    try:
        with kept_traceback(path, name):
            try:
                train_cells(plan, _Pipe(pipe), name, DiagramFolder(path, plan.grid.axes, plan.grid.seeds))
            except (ConnectionError, EOFError):
                os._exit(0)  # the states are saved, and nothing is listening
    except UserError as error:
        with contextlib.suppress(OSError):
            pipe.send(("failed", str(error)))
    except Exception as error:
        log = getattr(error, "log", None)
        with contextlib.suppress(OSError):
            pipe.send(("failed", describe_error(error) + (f" (the traceback is in {log})" if log else "")))


class _Here(Source):
    def __init__(self, jobs: Iterator[Job], take: TakeReport) -> None:
        self._jobs = jobs
        self._take = take

    def fetch(self, count: int) -> list[Job]:
        return list(islice(self._jobs, count))

    def report(self, report: Report) -> None:
        self._take(report)


def train_here(plan: Plan, jobs: Iterator[Job], folder: DiagramFolder, take: TakeReport, name: str) -> None:
    """Train cells in this process; arguments as in `train_in_processes`."""
    end_early_worker()
    threads = torch.get_num_threads()
    try:
        train_cells(plan, _Here(jobs, take), f"{name}_0", folder)
    finally:
        torch.set_num_threads(threads)
