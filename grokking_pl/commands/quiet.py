"""Filter Lightning's output: only warnings and requested messages."""

import logging
import warnings
from pathlib import PurePath

ASKED_FOR = ("callbacks", "profilers", "tuner")
"""Parts of Lightning that print only what a configuration requests: early stopping, summaries, time limits."""


class AskedFor(logging.Filter):
    """Passes warnings, and messages of parts of Lightning used by the configuration."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide by the source file, because all of Lightning logs through one function."""
        return record.levelno >= logging.WARNING or PurePath(record.pathname).parent.name in ASKED_FOR


def quieten() -> None:
    """Suppress Lightning's advertisements and notes on its implementation."""
    for name in ("lightning", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    handlers = [handler for name in ("lightning", "lightning.pytorch") for handler in logging.getLogger(name).handlers]
    for handler in handlers:
        if not any(isinstance(known, AskedFor) for known in handler.filters):
            handler.addFilter(AskedFor())
    for message in (
        ".*isinstance.treespec.*",
        ".*litlogger.*",
        ".*does not have many workers.*",
        ".*instantiate_classes.*",
        # Validating a checkpoint needs no record of the run.
        ".*callbacks used to create the checkpoint.*",
        # Callbacks log the same value on every process.
        ".*sync_dist=True.*",
    ):
        warnings.filterwarnings("ignore", message=message)
