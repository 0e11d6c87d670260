"""Lost processes: if one process of a run exits or stops answering, the others stop with one line."""

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
    f"another process of this run exited early, so the run was stopped: see what that process printed last; {RESUME}"
)
MESSAGE_NO_ANSWER = (
    "another process of this run did not answer in time, so the run was stopped: see whether it hangs, was paused, or "
    f"lost its machine (the timeout is an option of trainer.strategy); {RESUME}"
)
GRACE_SECONDS = 10
"""Time for a process whose peer has exited to notice it, write its summary and end."""
AT_ONCE = 0.5
FIRST_PROCESS = "GROK_FIRST_PROCESS"
"""Environment variable with the first process's id, for launched processes: it may exit before they look."""


def is_launched() -> bool:
    """Whether Lightning launched this process from the first one, not torchrun or SLURM."""
    by_lightning = "NODE_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ
    return by_lightning and int(os.environ.get("LOCAL_RANK", "0")) > 0


PARENT = int(os.environ.get(FIRST_PROCESS, 0) if is_launched() and os.name == "posix" else 0) or os.getppid()


@contextmanager
def ending_together(strategy: Any) -> Iterator[None]:
    """End a block on all processes of a run if one of them is lost.

    Args:
        strategy: the trainer's strategy.

    Raises:
        SystemExit: another process was lost; the message is printed once for all processes that Lightning launched.
    """
    say = _Once()
    call_on_lost_process(partial(_say_after_grace, say))  # afterwards Lightning kills this process
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
                process.kill()  # a paused one would stay
        if not first_has_ended:
            say(message)
        sys.exit(1)


def explain_lost_process(error: BaseException) -> str | None:
    """The message for an error that says that a peer process has exited or does not answer."""
    # Lightning removes WORLD_SIZE from the environment when training fails, but not LOCAL_RANK.
    has_peers = torch.distributed.is_initialized() or "WORLD_SIZE" in os.environ or "LOCAL_RANK" in os.environ
    if not (has_peers and isinstance(error, RuntimeError)):  # torch's type
        return None
    if re.search(LOST_CONNECTION, str(error)):
        return MESSAGE
    return MESSAGE_NO_ANSWER if re.search(NO_ANSWER, str(error)) else None


class _Once:
    """Prints a line once, even if called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        if self._lock.acquire(blocking=False):
            # In one write, because several processes may print.
            print(f"grok: error: {line}\n", end="", file=sys.stderr, flush=True)


def first_process_has_gone(seconds: float = 0) -> bool:
    """Whether the process that launched this one has ended, or ends within ``seconds``."""
    end = time.monotonic() + seconds
    while os.getppid() == PARENT:
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True


def watch_first_process(react: Callable[[], None]) -> None:
    """Make a launched process end, after ``react()``, when the first process has exited, whatever it is waiting for.

    Call this in all processes of a run before it launches any.
    """
    if is_launched():
        threading.Thread(target=_end_after_first_process, args=(react,), daemon=True).start()
    else:
        os.environ[FIRST_PROCESS] = str(os.getpid())


def _let_first_process_end() -> bool:
    """In a launched process of an ending run, wait until the first process has ended.

    The first process kills itself within seconds of the end of another, and would not finish writing its summary.

    Returns:
        Whether it has ended meanwhile, so that it was not the lost one.
    """
    # A killed process disappears shortly after its connections.
    if not is_launched() or first_process_has_gone(AT_ONCE):
        return False
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # so that the first process does not wait for this one
    return first_process_has_gone(GRACE_SECONDS)


def _is_paused(process: subprocess.Popen[bytes]) -> bool:
    """Whether a launched process is stopped, as by SIGSTOP, if the system can tell."""
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
