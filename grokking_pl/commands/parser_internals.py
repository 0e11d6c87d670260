"""The one file that touches private parts of the argument parser: argparse has no public list of a parser's options."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Args:
        spellings: as they are typed.
        is_flag: whether it takes no value.
    """

    spellings: tuple[str, ...]
    is_flag: bool


def options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    """The options of a parser that its help shows, for completion in a shell and for naming the nearest to a typo."""
    for action in parser._actions:
        if action.option_strings and action.help != argparse.SUPPRESS:
            yield Option(tuple(action.option_strings), action.nargs == 0)
