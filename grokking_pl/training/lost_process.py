"""When one process of a run on several ends, or answers no more: the others stop, and say so in one line."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch.distributed

from grokking_pl.training.lightning_internals import (
    LOST_CONNECTION,
    NO_ANSWER,
    call_on_lost_process,
    launched_processes,
)

RESUME = "resume the run from its last checkpoint with --ckpt_path last"
MESSAGE = (
    "another process of this run ended before its time, so the run was stopped: look at what that process printed "
    f"last; {RESUME}"
)
MESSAGE_NO_ANSWER = (
    "another process of this run did not answer in time, so the run was stopped: see whether it hangs, was paused, or "
    f"lost its machine (the timeout is an option of trainer.strategy); {RESUME}"
)
GRACE_SECONDS = 10
"""Time in which a process whose peer has gone notices it by itself, writes its summary, and ends."""
AT_ONCE = 0.5
FIRST_PROCESS = "GROK_FIRST_PROCESS"
"""Where the first process tells those that Lightning starts for it who it is: it may be gone when they look."""


def is_launched() -> bool:
    """Whether Lightning started this process for the first one, and not torchrun or SLURM."""
    by_lightning = "NODE_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ
    return by_lightning and int(os.environ.get("LOCAL_RANK", "0")) > 0


PARENT = int(os.environ.get(FIRST_PROCESS, 0) if is_launched() and os.name == "posix" else 0) or os.getppid()


@contextmanager
def ending_together(strategy: Any) -> Iterator[None]:
    """Let a block that trains on several processes end on all of them when one of them is lost.

    Args:
        strategy: of the trainer.

    Raises:
        SystemExit: another process was lost; the line that says so is printed, once for all that Lightning started.
    """
    say = _Once()
    call_on_lost_process(partial(_say_after_grace, say))  # after which Lightning kills this process
    watch_first_process(partial(_say_after_grace, say))
    try:
        yield
    except Exception as error:
        message = explain_lost_process(error)
        first_has_ended = _let_first_process_end()
        if message is None:
            raise
        if message == MESSAGE_NO_ANSWER or any(map(_is_paused, launched_processes(strategy))):
            message = MESSAGE_NO_ANSWER
            for process in launched_processes(strategy):
                process.kill()  # one that is paused would stay
        if not first_has_ended:
            say(message)
        sys.exit(1)


def explain_lost_process(error: BaseException) -> str | None:
    """The line for an error that says that a process at the other end of a connection has gone, or is silent."""
    # Lightning takes WORLD_SIZE out of the environment again when training fails, but not LOCAL_RANK.
    has_peers = torch.distributed.is_initialized() or "WORLD_SIZE" in os.environ or "LOCAL_RANK" in os.environ
    if not (has_peers and isinstance(error, RuntimeError)):  # which is what torch raises
        return None
    if re.search(LOST_CONNECTION, str(error)):
        return MESSAGE
    return MESSAGE_NO_ANSWER if re.search(NO_ANSWER, str(error)) else None


class _Once:
    """Prints one line, though several threads may want to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        if self._lock.acquire(blocking=False):
            # Text and end of line at once: several processes may write.
            print(f"grok: error: {line}\n", end="", file=sys.stderr, flush=True)


def first_process_has_gone(seconds: float = 0) -> bool:
    """Whether the process that started this one has ended, or does within so many seconds."""
    end = time.monotonic() + seconds
    while os.getppid() == PARENT:
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True


def watch_first_process(react: Callable[[], None]) -> None:
    """Have a process that Lightning starts end, after ``react()``, when the first one has gone, whatever it waits for.

    To be called in all processes of a run before it starts any.
    """
    if is_launched():
        threading.Thread(target=_end_after_first_process, args=(react,), daemon=True).start()
    else:
        os.environ[FIRST_PROCESS] = str(os.getpid())


def _let_first_process_end() -> bool:
    """Wait, in a process that Lightning started for a run that is ending, until the first one has ended.

    The first process kills itself within seconds of the end of another, and would not finish writing its summary.

    Returns:
        Whether it has ended meanwhile, so that it was not the one that was lost.
    """
    # One that was killed goes a moment after its connections.
    if not is_launched() or first_process_has_gone(AT_ONCE):
        return False
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # so that the first one does not wait for this one
    return first_process_has_gone(GRACE_SECONDS)


def _is_paused(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process that this one started is stopped, as by SIGSTOP, where the system tells."""
    if process.poll() is not None or not hasattr(os, "waitid"):
        return False
    return os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None


def _say_after_grace(say: _Once) -> None:
    time.sleep(GRACE_SECONDS)
    say(MESSAGE)


def _end_after_first_process(react: Callable[[], None]) -> None:
    while not first_process_has_gone(3600):
        pass
    react()
    os._exit(1)
