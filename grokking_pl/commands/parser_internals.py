"""The one file that uses private parts of argparse, which has no public list of a parser's options."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Args:
        spellings: the option's names on the command line.
        is_flag: whether it takes no value.
    """

    spellings: tuple[str, ...]
    is_flag: bool


def options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    """The options shown in a parser's help, for shell completion and hints on typos."""
    for action in parser._actions:
        if action.option_strings and action.help != argparse.SUPPRESS:
            yield Option(tuple(action.option_strings), action.nargs == 0)
