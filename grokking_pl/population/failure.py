"""What a user is told when members cannot be trained as a batch, or not so many of them at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from grokking_pl.errors import UserError


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn what an architecture or a loss raises into a `UserError`, unless it is for want of memory."""
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
    """Turn want of memory into a `UserError` that tells how to need less."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"the memory is too small for {places} members at a time ({first_line(error)}): give fewer --places"
        ) from error


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an allocation failed, on a GPU or a CPU, for the error itself or for what caused it."""
    if error is None:
        return False
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in str(error)  # of the CPU's allocator: it raises a mere RuntimeError
        or is_out_of_memory(error.__cause__)
    )


def first_line(error: BaseException) -> str:
    """The kind of an error and the first line of its message, or the first two where the one announces the other."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    text = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
