"""When one process of a run on several ends before the others: they stop, and say so in one line."""

import logging
import os
import re
import sys
import time

import torch.distributed

MESSAGE = (
    "another process of this run ended before its time, so the run was stopped: look at what that process printed "
    "last; the run goes on from its last checkpoint with --ckpt_path last"
)
GRACE_SECONDS = 30
PARENT = os.getppid()


def is_lost_process(error: BaseException) -> bool:
    """Whether an error says that a process at the other end of a connection has gone."""
    words = "closed by peer|reset by peer|remote worker|Broken pipe|remote process exited|ncclRemoteError"
    return "WORLD_SIZE" in os.environ and re.search(words, str(error)) is not None


class SayLostProcess(logging.Handler):
    """Says in our words what Lightning notices of the processes that it started, before it kills all of them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line if the record is of a process that ended."""
        if "terminated with code" in record.getMessage():
            print(f"grok: error: {MESSAGE}", file=sys.stderr, flush=True)


def watch_processes() -> None:
    """Let the loss of a process be said."""
    observer = logging.getLogger("lightning.fabric.strategies.launchers.subprocess_script")
    if not any(isinstance(handler, SayLostProcess) for handler in observer.handlers):
        observer.addHandler(SayLostProcess())
    observer.setLevel(logging.INFO)
    observer.propagate = False


def let_first_process_finish() -> None:
    """Wait, in a process that Lightning started for a run that is ending, until the first one has ended.

    The first process kills itself within seconds of the end of another, and would not finish writing its summary.
    """
    started_by_lightning = "NODE_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ
    if not (started_by_lightning and int(os.environ.get("LOCAL_RANK", "0")) > 0):
        return
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # so that the first one does not wait for this one
    end = time.monotonic() + GRACE_SECONDS
    while os.getppid() == PARENT and time.monotonic() < end:
        time.sleep(0.1)
