"""Processes that are killed at one of their file operations, and what is left of a run or diagram afterwards.

Every process is a fork of the one that runs the tests, so that nothing has to be imported anew.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

import numpy as np
import torch

import grokking_pl.commands.diagram
import grokking_pl.commands.fit
import grokking_pl.plots.embeddings  # noqa: F401
from grokking_pl.commands.main import main

WRITING_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate")


def fork_grok(arguments: list[str], folder: Path, kill_at: int | None = None) -> tuple[int, int]:
    """Run ``grok`` in a fork that is killed at its ``kill_at``-th file operation inside ``folder``, if there is one.

    Returns:
        The exit status, -9 if it was killed, and the number of operations made.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            sys.stdout = sys.stderr = open(os.devnull if kill_at is not None else folder.parent / "log.txt", "w")  # noqa: SIM115
            _count_operations(str(folder), kill_at, writing)
            main(arguments)
            status = 0
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as pipe:
        operations = len(pipe.read())
    _, outcome = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(outcome), operations


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
