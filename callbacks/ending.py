"""Why a run ended: a limit of the trainer, a callback, or time."""

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping, Timer

from grokking_pl.callbacks.reporting import reporting_callbacks

MAX_TIME = "max_time"


def why_ended(trainer: pl.Trainer) -> str:
    """The reason why training ended, as a word or sentence."""
    if trainer.max_steps >= 0 and trainer.global_step >= trainer.max_steps:
        return "max_steps"
    if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= trainer.current_epoch:
        return "max_epochs"
    return why_stopped(trainer) or "no more batches"


def why_stopped(trainer: pl.Trainer) -> str | None:
    """The reason why a callback stops the run before the trainer's limits; None if none does."""
    if not trainer.should_stop:
        return None
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for reporting in reporting_callbacks(trainer):
        if reason := reporting.reason_to_stop():
            return f"{type(reporting).__name__}: {reason}"
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
            reason = callback.stopping_reason_message.removesuffix(" Signaling Trainer to stop.")
            return f"{type(callback).__name__}: {reason}"
    if any(isinstance(callback, Timer) and (callback.time_remaining() or 1) <= 0 for callback in callbacks):
        return MAX_TIME
    return "should_stop"
