"""What of Lightning's talk reaches the terminal: what a user asked to be told, and warnings."""

import logging
import warnings
from pathlib import PurePath

ASKED_FOR = ("callbacks", "profilers", "tuner")
"""The parts of Lightning that speak only of what a configuration asked for: early stopping, summaries, time limits."""


class AskedFor(logging.Filter):
    """Passes warnings, and notes from the parts of Lightning that a configuration asks for."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Judge by the file that speaks: a function shared by all of Lightning does the logging."""
        return record.levelno >= logging.WARNING or PurePath(record.pathname).parent.name in ASKED_FOR


def quieten() -> None:
    """Keep Lightning's advertisements and notes on its own implementation off the user's terminal."""
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
