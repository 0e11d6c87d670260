"""The one place where what went wrong becomes a line for the user and an exit status."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from grokking_pl.errors import RunInterrupted, find_user_error


def fail(message: str, status: int = 2) -> NoReturn:
    """Leave with one line that says what is wrong."""
    print(f"grok: error: {message}", file=sys.stderr)
    sys.exit(status)


@contextmanager
def errors_as_lines(when_stopped: str) -> Iterator[None]:
    """End the program with one line for whatever a user's input can cause; other errors keep their traceback.

    The status is 2; 128 plus the signal's number where a signal ended the command.

    Args:
        when_stopped: what to say on Ctrl-C.
    """
    try:
        yield
    except RunInterrupted as interruption:
        _end_interrupted_run(interruption)
    except KeyboardInterrupt as interruption:
        fail(when_stopped, 128 + (interruption.args[0] if interruption.args else signal.SIGINT))
    except Exception as error:
        line = str(find_user_error(error) or "") or _duplicate_callback(error) or _misconfiguration(error)
        if line:
            fail(line)
        raise


def stop_on_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does."""

    def stop(number: int, frame: Any) -> NoReturn:
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGTERM, stop)


def _end_interrupted_run(interruption: RunInterrupted) -> NoReturn:
    from grokking_pl.runs.naming import WandbSweepRun

    if interruption.number == signal.SIGTERM and WandbSweepRun.of_this_process():
        # W&B's agent stops a run early by this signal, and counts any other end than by it as a failure.
        print(f"grok: {interruption}, as the sweep's agent asked", file=sys.stderr, flush=True)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    print(f"grok: {interruption}; to resume, run the same command with --ckpt_path last", file=sys.stderr)
    sys.exit(128 + interruption.number)


def _duplicate_callback(error: Exception) -> str | None:
    """What Lightning's complaint of two callbacks of one class means."""
    match = re.search(r"more than one stateful callback of type `(\w+)`", str(error))
    return match and (
        f"there are two callbacks {match[1]}: set the options of the one in the configuration file, or give the whole "
        "list anew with --trainer.callbacks=..."
    )


def _misconfiguration(error: Exception) -> str | None:
    """Lightning's word that trainer options do not fit each other, on one line."""
    # By name, since a command that never loaded Lightning cannot have raised it.
    if type(error).__name__ != "MisconfigurationException":
        return None
    return re.sub(r"\s+", " ", str(error))
