"""The parser of commands without settings; errors are one line that says what to give instead."""

import argparse
from typing import Any, NoReturn

from grokking_pl.commands.failure import fail


class PlainParser(argparse.ArgumentParser):
    """An argparse parser with unformatted help and without abbreviations.

    Args:
        hint: what to give instead; ends the error line.
        **options: options of ``argparse.ArgumentParser``.
    """

    def __init__(self, hint: str, **options: Any) -> None:
        super().__init__(**options, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
        self._hint = hint

    def error(self, message: str) -> NoReturn:
        """Exit with one line that says what is wrong."""
        fail(f"{message}: {self._hint}")
