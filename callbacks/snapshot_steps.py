"""The steps at which a callback takes snapshots."""

from collections.abc import Sequence

import lightning.pytorch as pl

from grokking_pl.errors import UserError, require_at_least
from grokking_pl.spacing import log_spaced_steps


def check_steps(callback: str, steps: Sequence[int] | None, count: int) -> None:
    """Raise a `UserError` in the callback's name unless steps or count are valid."""
    if steps is not None and (not steps or min(steps) < 0):
        raise UserError(f"{callback}: steps are {steps}; give steps of at least 0, or null")
    require_at_least(callback, "count", count, 1)


def choose_steps(callback: str, steps: Sequence[int] | None, count: int, what: str, trainer: pl.Trainer) -> set[int]:
    """The steps given, or else ``count`` steps of the run.

    Args:
        callback: name of the callback.
        steps: steps; None to choose them.
        count: number of steps to choose.
        what: name of what is kept.
        trainer: trainer of the run.

    Raises:
        UserError: the last step is unknown.
    """
    if steps is not None:
        return set(steps)
    if trainer.max_steps < 0:
        raise UserError(f"{callback}: without trainer.max_steps, set steps at which to keep the {what}")
    return set(log_spaced_steps(trainer.max_steps, count))
