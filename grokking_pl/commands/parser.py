"""What every command's parser shares: one line for a wrong option, and a quiet terminal."""

import logging
import warnings
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from grokking_pl.commands.failure import fail
from grokking_pl.commands.parser_internals import options
from grokking_pl.experiments.messages import one_line


class GrokParser(LightningArgumentParser):
    """Answers a wrong option with one line, and names the nearest right one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # An abbreviation would make a mistyped option another option.
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Leave with status 2 and one line."""
        names = [spelling.lstrip("-") for option in options(self) for spelling in option.spellings]
        fail(one_line(message, names))


def quieten() -> None:
    """Keep Lightning's advertisements and notes on its own implementation off the user's terminal."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
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
