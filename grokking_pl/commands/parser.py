"""The common parser of all commands: one line for a wrong option."""

from enum import Enum
from typing import Any, NoReturn

import yaml
from lightning.pytorch.cli import LightningArgumentParser

from grokking_pl.commands.failure import DEBUG, InvalidInput
from grokking_pl.commands.parser_internals import options
from grokking_pl.experiments.messages import one_line

# Some defaults, such as those of Lightning's Timer, are Enum members, which YAML cannot represent.
yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, member: dumper.represent_data(member.value))


class GrokParser(LightningArgumentParser):
    """Answers a wrong option with one line, and names the nearest right one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # With abbreviations, a mistyped option could match another one.
        kwargs.setdefault("epilog", DEBUG)
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def print_help(self, file: Any = None) -> None:
        """Print the help, and fail if it cannot be printed, unlike argparse."""
        print(self.format_help(), end="", file=file)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with one line that says what is wrong."""
        names = [spelling.lstrip("-") for option in options(self) for spelling in option.spellings]
        raise InvalidInput(one_line(message, names))
