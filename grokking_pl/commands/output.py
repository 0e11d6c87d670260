"""Complete output or failure: a full disk must not look like success."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def whole_output() -> Iterator[None]:
    """Check at the end of the block that standard output was written completely, unless it is closed.

    Raises:
        OSError: the output could not be written.
    """
    if sys.stdout is None or sys.stderr is None:
        nowhere = open(os.devnull, "w")  # noqa: SIM115 (until the process ends)
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            # Python would try again at exit, and print an error.
            if sys.stdout is sys.__stdout__:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise
