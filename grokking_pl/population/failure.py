"""Error messages for members that cannot be trained as a batch, or not as many at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from grokking_pl.errors import UserError


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn exceptions of an architecture or loss into a `UserError`, except out-of-memory errors."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UserError(f"{what} cannot be trained as a batch, only by grok fit: {first_line(error)}") from error


@contextmanager
def needing_memory(places: int) -> Iterator[None]:
    """Turn out-of-memory errors into a `UserError` that says how to use less."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"out of memory with {places} members at a time ({first_line(error)}): give fewer --places"
        ) from error


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or its cause, is a failed allocation on a GPU or CPU."""
    if error is None:
        return False
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in str(error)  # raised by the CPU's allocator as a plain RuntimeError
        or is_out_of_memory(error.__cause__)
    )


def first_line(error: BaseException) -> str:
    """The type of an error and the first line of its message, or the first two if the first ends with a colon."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    text = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
