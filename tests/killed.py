"""Processes that are killed at one of their file operations, and what is left of a run or diagram afterwards.

Every process is a fork of a server that has imported all, and done nothing else: torch's threads survive no fork.
"""

import os
import signal
import sys
import traceback
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

WRITING_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate")
SERVER = get_context("forkserver")
SERVER.set_forkserver_preload([
    "grokking_pl.commands.diagram", "grokking_pl.commands.fit", "grokking_pl.plots.diagram",
    "grokking_pl.plots.embeddings",
])  # fmt: skip


def fork_grok(arguments: list[str], folder: Path, kill_at: int | None = None) -> tuple[int, int]:
    """Run ``grok`` in a process that is killed at its ``kill_at``-th file operation inside ``folder``, if there is one.

    A diagram reports whenever it can, and not after a time, so that it always makes the same file operations.

    Returns:
        The exit status, -9 if it was killed, and the number of operations made.
    """
    reading, writing = SERVER.Pipe(duplex=False)
    process = SERVER.Process(target=_run, args=(arguments, folder, kill_at, writing))
    process.start()
    writing.close()
    with open(os.dup(reading.fileno()), "rb") as pipe:
        operations = len(pipe.read())
    process.join()
    assert process.exitcode is not None
    return process.exitcode, operations


def _run(arguments: list[str], folder: Path, kill_at: int | None, writing) -> None:
    from grokking_pl.commands.main import main
    from grokking_pl.population import training

    training.SECONDS_BETWEEN_REPORTS = 0.0
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 1
    try:
        sys.stdout = sys.stderr = open(os.devnull if kill_at is not None else folder.parent / "log.txt", "w")  # noqa: SIM115
        _count_operations(str(folder), kill_at, writing.fileno())
        main(arguments)
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _count_operations(folder: str, kill_at: int | None, writing: int) -> None:
    operations = 0

    def watch(event: str, arguments: tuple) -> None:
        nonlocal operations
        if event not in WRITING_EVENTS or not str(arguments[0]).startswith(folder):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        operations += 1
        if operations == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(writing, b".")

    sys.addaudithook(watch)


def contents(folder: Path) -> dict[str, object]:
    """Every file of a folder by its name, in a form in which equal runs have equal contents."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _content(path, folder) for path in files}


def _content(path: Path, folder: Path) -> object:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name].tolist() for name in arrays.files}
    if path.suffix == ".ckpt":
        checkpoint = torch.load(path, weights_only=True)
        return {name: value.tolist() for name, value in checkpoint["state_dict"].items()}
    if path.name == "summary.json":
        return [line for line in path.read_text().splitlines() if '"seconds"' not in line]
    return path.read_bytes().replace(bytes(folder), b"FOLDER")
