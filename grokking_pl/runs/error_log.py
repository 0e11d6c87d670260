"""Tracebacks of failed commands: ``error.log`` in the folder, one file per process."""

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

from grokking_pl.errors import RunInterrupted, find_user_error
from grokking_pl.runs.files import write_atomically

GLOBAL_RANKS = ("RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "OMPI_COMM_WORLD_RANK")


@contextlib.contextmanager
def kept_traceback(folder: Path, process: str | None = None) -> Iterator[None]:
    """Write the traceback of an exception in the block to a file, unless its message is enough, and re-raise it.

    The exception gets the attribute ``log``, the path of the file.

    Args:
        folder: folder of the file; the file of an earlier failure is removed if the block succeeds.
        process: name of this process in the file's name; None for its rank in the job (``error.log`` for the first).
    """
    name = rank() if process is None else process
    path = folder / (f"error_{name}.log" if name else "error.log")
    try:
        yield
    except RunInterrupted:
        raise
    except Exception as error:
        if find_user_error(error) is None:
            with contextlib.suppress(OSError):  # on a full disk the message is shown without it
                write_atomically(path, "".join(traceback.format_exception(error)))
                error.log = path  # type: ignore[attr-defined]
        raise
    if path.exists():
        with contextlib.suppress(OSError):
            path.unlink()


def rank() -> str:
    """The rank of this process in its job, before they connect; empty for the first or only one."""
    for name in GLOBAL_RANKS:
        if os.environ.get(name):
            return os.environ[name].lstrip("0")
    node, local = (os.environ.get(name, "").lstrip("0") for name in ("NODE_RANK", "LOCAL_RANK"))
    return f"{node}_{local or 0}" if node else local
