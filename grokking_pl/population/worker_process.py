"""The processes that train a diagram. One can be started before it is known what to train: importing takes seconds."""

import contextlib
import os
import signal
from collections.abc import Iterator
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path

from grokking_pl.importing import without_collecting

WorkerProcess = tuple[BaseProcess, connection.Connection]
"""A process, and the pipe from which it receives the arguments of `grokking_pl.population.workers.work`."""

_started_early: list[WorkerProcess] = []


@contextlib.contextmanager
def worker_started_early() -> Iterator[None]:
    """Start a process that imports PyTorch while the block does; it ends with the block unless it has been taken."""
    _started_early.append(_start())
    try:
        yield
    finally:
        end_early_worker()


def end_early_worker() -> None:
    """End the process that was started early, if nothing has taken it."""
    while _started_early:
        process, pipe = _started_early.pop()
        process.terminate()
        process.join()
        pipe.close()


def take_worker() -> WorkerProcess:
    """Take the process that was started early, or start one."""
    return _started_early.pop() if _started_early else _start()


def _start() -> WorkerProcess:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    with _in_folder_without_modules(), _without_ctrl_c():
        process.start()
    theirs.close()
    return process, ours


@contextlib.contextmanager
def _in_folder_without_modules() -> Iterator[None]:
    """A new interpreter first imports from its working directory, where a user's files may be named like Python's."""
    work = os.getcwd()
    os.chdir(Path(work).anchor)
    try:
        yield
    finally:
        os.chdir(work)


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Ctrl-C reaches every process of the terminal; the first one handles it, after the block, and others never see it.

    A new process inherits what is blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # would unblock it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: connection.Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where nothing can be blocked
    with without_collecting():
        from grokking_pl.population.workers import work  # with PyTorch, which takes seconds

    with contextlib.suppress(EOFError):  # nothing to train
        work(pipe, *pipe.recv())
