"""When one process of a run on several ends before the others: they stop, and say so in one line."""

import os
import re
import sys
import time

import torch.distributed

from grokking_pl.training.lightning_internals import LOST_CONNECTION, call_on_lost_process

MESSAGE = (
    "another process of this run ended before its time, so the run was stopped: look at what that process printed "
    "last; resume the run from its last checkpoint with --ckpt_path last"
)
GRACE_SECONDS = 30
PARENT = os.getppid()


def is_lost_process(error: BaseException) -> bool:
    """Whether an error says that a process at the other end of a connection has gone."""
    # Lightning takes WORLD_SIZE out of the environment again when training fails, but not LOCAL_RANK.
    has_peers = "WORLD_SIZE" in os.environ or "LOCAL_RANK" in os.environ
    return has_peers and re.search(LOST_CONNECTION, str(error)) is not None


def watch_processes() -> None:
    """Say it in one line when a process that this one started is lost, before Lightning kills all of them."""
    call_on_lost_process(lambda: print(f"grok: error: {MESSAGE}", file=sys.stderr, flush=True))


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
