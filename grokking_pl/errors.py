"""The exceptions whose messages are meant for the user."""

import signal


class UserError(ValueError):
    """Something the user gave is wrong: the message says what was given, what was expected and what to do.

    The command line prints it as one line, without a traceback.
    """


class RunInterrupted(Exception):
    """A signal asked the run to stop; it did so after writing a checkpoint.

    Args:
        number: the signal.
        step: the number of updates made.
    """

    def __init__(self, number: signal.Signals, step: int) -> None:
        super().__init__(f"stopped by {number.name} at step {step}")
        self.number = number


def find_user_error(error: BaseException | None) -> UserError | None:
    """The `UserError` behind an exception, if there is one: a parser that tries several types wraps that of each."""
    while error is not None:
        if isinstance(error, UserError):
            return error
        error = error.__cause__ or error.__context__
    return None
