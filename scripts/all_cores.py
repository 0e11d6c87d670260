"""The cores of this machine, and the same measurement on all of them at once."""

import os
import statistics
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_all_cores(measure: Callable[[Any, Any], None]) -> list[float]:
    """Call a function in one process per core, and return the means of what they report.

    Args:
        measure: function of a barrier, at which it waits for the other processes, and of a queue, in which it puts a
            tuple of numbers.

    Raises:
        Exception: whatever one of them raises.
    """
    context = get_context("spawn")
    barrier, results = context.Barrier(cores()), context.Queue()
    workers = [context.Process(target=_report, args=(measure, barrier, results)) for _ in range(cores())]
    for worker in workers:
        worker.start()
    reports = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    for report in reports:
        if isinstance(report, Exception):
            raise report
    return [statistics.mean(column) for column in zip(*reports, strict=True)]


def _report(measure: Callable[[Any, Any], None], barrier: Any, results: Any) -> None:
    """Measure; put the error into the results, if there is one, and let no other process wait for this one."""
    try:
        measure(barrier, results)
    except Exception as error:
        results.put(error)
        barrier.abort()
