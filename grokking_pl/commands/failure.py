"""Turning exceptions into one line for the user and an exit status."""

import contextlib
import errno
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

from grokking_pl.errors import RunInterrupted, chain, describe_error, find_user_error, message_on_one_line

WRONG_INPUT = 2
UNEXPECTED = 1

DEBUG = "With --debug, errors print their traceback."
"""Last line of every command's help."""


class InvalidInput(SystemExit):
    """Input refused by a parser. As a SystemExit it passes libraries' exception handlers unchanged.

    Args:
        line: the message.
        option: the name of the unknown option that was given; None for any other mistake.
    """

    def __init__(self, line: str, option: str | None = None) -> None:
        super().__init__(WRONG_INPUT)
        self.line = line
        self.option = option


def fail(message: str, status: int = WRONG_INPUT) -> NoReturn:
    """Exit with one line that says what is wrong."""
    with contextlib.suppress(OSError, ValueError):  # standard error is closed
        # In one write, because several processes may print.
        print(f"grok: error: {message}\n", end="", file=sys.stderr, flush=True)
    sys.exit(status)


@contextlib.contextmanager
def errors_as_lines(when_stopped: str, debug: bool = False) -> Iterator[None]:
    """End the program with one line on any error.

    The status is 2 for invalid input, 1 for unexpected errors, and 128 plus the signal's number if a signal ended the
    command.

    Args:
        when_stopped: message on Ctrl-C.
        debug: whether to print the traceback before the line.
    """
    try:
        yield
    except RunInterrupted as interruption:
        _end_interrupted_run(interruption)
    except KeyboardInterrupt as interruption:
        fail(when_stopped, 128 + (interruption.args[0] if interruption.args else signal.SIGINT))
    except SystemExit as leaving:
        if _was_stopped(leaving):  # Lightning exits without a message
            fail(when_stopped, 128 + signal.SIGINT)
        if debug and leaving.code and leaving.__context__:
            traceback.print_exception(leaving.__context__)
        if isinstance(leaving, InvalidInput):
            fail(leaving.line)
        raise
    except Exception as error:
        if _was_stopped(error):  # while loading a library that reports it as its own failure
            fail(when_stopped, 128 + signal.SIGINT)
        if debug:
            traceback.print_exception(error)
        line = users_mistake(error)
        if line:
            fail(line)
        fail(describe_error(error) + ("" if debug else f" ({where_traceback_is(error)})"), UNEXPECTED)


def where_traceback_is(error: Exception) -> str:
    """How the user gets the traceback of an error, in words."""
    log = getattr(error, "log", None)
    return (
        f"the traceback is in {log}" if log and log.exists() else "the same command with --debug prints the traceback"
    )


def stop_on_sigterm() -> None:
    """Make SIGTERM end the command like Ctrl-C."""

    def stop(number: int, frame: Any) -> NoReturn:
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGTERM, stop)


@contextlib.contextmanager
def ctrl_c_is_heard() -> Iterator[None]:
    """Make Ctrl-C end the block, at the latest at its end, since libraries loaded in it may swallow the exception.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed in the block.
    """
    previous = signal.getsignal(signal.SIGINT)
    if previous is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # the handler was changed on purpose
        return
    was_heard = False

    def note(number: int, frame: Any) -> NoReturn:
        nonlocal was_heard
        was_heard = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    except (Exception, SystemExit):
        if not was_heard:
            raise
    finally:
        signal.signal(signal.SIGINT, previous)
    if was_heard:
        raise KeyboardInterrupt


def _end_interrupted_run(interruption: RunInterrupted) -> NoReturn:
    from grokking_pl.runs.naming import WandbSweepRun

    if interruption.number == signal.SIGTERM and WandbSweepRun.of_this_process():
        # W&B's agent stops runs early by this signal, and counts any other exit as a failure.
        print(f"grok: {interruption}, as requested by the sweep's agent", file=sys.stderr, flush=True)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    print(f"grok: {interruption}; to resume, run the same command with --ckpt_path last", file=sys.stderr)
    sys.exit(128 + interruption.number)


def _was_stopped(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an exception."""
    return any(isinstance(link, KeyboardInterrupt) for link in chain(error))


def users_mistake(error: Exception) -> str | None:
    """The message for errors caused by a user's input; None for unexpected errors."""
    user_error = find_user_error(error)
    if user_error is not None and str(user_error):
        return message_on_one_line(user_error)
    kinds = (_duplicate_callback, _out_of_memory, _missing_requirement, _misconfiguration, _about_a_file)
    return next(filter(None, (line(error) for line in kinds)), None)


def _duplicate_callback(error: Exception) -> str | None:
    """The message for Lightning's error about two callbacks of one class."""
    match = re.search(r"more than one stateful callback of type `(\w+)`", str(error))
    return match and (
        f"there are two callbacks {match[1]}: set the options of the one in the configuration file, or give the whole "
        "list with --trainer.callbacks=..."
    )


def _out_of_memory(error: Exception) -> str | None:
    """The message for out-of-memory errors of any library."""
    text = str(error)
    asked = re.search(r"tried to allocate ([\d.]+ ?\w+)|Unable to allocate ([\d.]+ \w+)", text, re.IGNORECASE)
    is_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    if not (is_memory or asked or "Storage size calculation overflowed" in text or "numel: integer multipl" in text):
        return None
    size = f" ({_readable(asked[1] or asked[2])} more requested)" if asked else ""
    return f"there is not enough memory{size}: choose a smaller network, smaller data or a smaller batch"


def _missing_requirement(error: Exception) -> str | None:
    """The message for Lightning's errors about packages that are not installed."""
    text = message_on_one_line(error)
    missing = re.search(r"Requirement '([^']+)' not met", text)
    if not missing:
        return None
    who = re.search(r"class_path '([\w.]+)'", text)
    needs = f"{who[1]} needs {missing[1]}" if who else f"this needs {missing[1]}"
    return f"{needs}, which is not installed: install it, or choose something else"


def _readable(size: str) -> str:
    """Convert a size in bytes to readable units; leave other sizes unchanged."""
    count = re.fullmatch(r"(\d+) bytes", size)
    return f"{int(count[1]) / 2**30:,.1f} GiB" if count else size


def _misconfiguration(error: Exception) -> str | None:
    """Lightning's message that trainer options conflict, on one line."""
    # By name, so that Lightning need not be imported.
    return message_on_one_line(error) if type(error).__name__ == "MisconfigurationException" else None


def _about_a_file(error: Exception) -> str | None:
    """The message for operating system errors about files or output."""
    if not isinstance(error, OSError) or error.strerror is None:
        return None
    if error.filename is not None:
        return f"{error.filename}: {error.strerror} ({where_traceback_is(error)})"
    if error.errno in (errno.EPIPE, errno.ENOSPC, errno.EBADF, errno.EIO):
        return f"cannot print or write ({error.strerror}): make room, or redirect the output"
    return None
