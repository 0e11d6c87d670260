"""Exceptions with messages for the user, and descriptions of all others."""

import re
import signal
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

MOST_OF_A_MESSAGE = 400
"""Characters of another library's message to show."""
MOST_OF_A_REASON = 200
"""Characters of such a message within another."""


class UserError(ValueError):
    """Invalid input: the message says what was given, what was expected and what to do.

    The command line prints it as one line, without a traceback.
    """


class RunInterrupted(Exception):
    """A signal stopped the run, after a checkpoint was written.

    Args:
        number: the signal.
        step: number of updates made.
    """

    def __init__(self, number: signal.Signals, step: int) -> None:
        super().__init__(f"stopped by {number.name} at step {step}")
        self.number = number


def require_at_least(who: str, name: str, value: float, least: float, below: float = float("inf")) -> None:
    """Raise a `UserError`, in the name of the option's owner, unless ``least <= value < below``."""
    if not least <= value < below:
        limit = "" if below == float("inf") else f" and less than {below}"
        raise UserError(f"{who}: {name} is {value}; it must be at least {least}{limit}")


def require_above(who: str, name: str, value: float, limit: float) -> None:
    """Raise a `UserError`, in the name of the option's owner, unless the value is above the limit."""
    if not value > limit:
        raise UserError(f"{who}: {name} is {value}; it must be above {limit}")


def find_user_error(error: BaseException | None) -> UserError | None:
    """The `UserError` behind an exception, if any; a parser that tries several types wraps the errors of each."""
    return next((link for link in chain(error) if isinstance(link, UserError)), None)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those behind it, each once, since a re-raised exception may be behind itself."""
    known: set[int] = set()
    while error is not None and id(error) not in known:
        known.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def describe_error(error: BaseException) -> str:
    r"""Describe an unexpected exception on one line: its name, its place in the user's code, and its message.

    >>> describe_error(RuntimeError("on\npurpose"))
    'RuntimeError: on purpose'
    """
    places = ((link, _place_in_users_code(link)) for link in chain(error))
    # A parser wraps exceptions raised while a user's class is instantiated.
    error, where = next((place for place in places if place[1]), (error, None))
    said = message_on_one_line(error, MOST_OF_A_MESSAGE)
    return type(error).__name__ + (f" in {where}" if where else "") + (f": {said}" if said else "")


def message_on_one_line(error: BaseException, most: int | None = None) -> str:
    """An exception's message, without line breaks and control characters, truncated to ``most`` characters."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    text = re.sub(r"\s+", " ", text).strip()
    return text if most is None or len(text) <= most else text[:most].rstrip() + " ..."


def reason_on_one_line(text: str) -> str:
    """The beginning of another library's message, to quote within another, without line breaks."""
    return " ".join(text.split())[:MOST_OF_A_REASON]


def _place_in_users_code(error: BaseException) -> str | None:
    """The last file and line of an exception's traceback in code that is neither installed nor this project's."""
    libraries = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    libraries.append(Path(__file__).resolve().parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        # Unresolved paths too, because a part of this project may be a link.
        is_library = any(name.is_relative_to(library) for name in (path, path.resolve()) for library in libraries)
        if path.is_file() and not is_library and not {"site-packages", "dist-packages"} & {*path.parts}:
            return f"{path}, line {frame.lineno}"
    return None
