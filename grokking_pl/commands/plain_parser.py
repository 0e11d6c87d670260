"""The parser of commands whose words are no settings: what it refuses is one line that says what to give instead."""

import argparse
from typing import Any, NoReturn

from grokking_pl.commands.failure import fail


class PlainParser(argparse.ArgumentParser):
    """A parser of argparse, with help as it is written and no abbreviations.

    Args:
        hint: what to give instead of what was refused; ends the line.
        **options: those of an ``argparse.ArgumentParser``.
    """

    def __init__(self, hint: str, **options: Any) -> None:
        super().__init__(**options, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
        self._hint = hint

    def error(self, message: str) -> NoReturn:
        """Leave with one line that says what is wrong."""
        fail(f"{message}: {self._hint}")
