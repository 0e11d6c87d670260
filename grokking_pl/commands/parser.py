"""The common parser of all commands: one line for a wrong option."""

import contextlib
import json
import re
from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar, NoReturn

import yaml
from lightning.pytorch.cli import LightningArgumentParser

from grokking_pl.commands.failure import DEBUG, InvalidInput
from grokking_pl.commands.mistyped import name_in_files, nearest, typed_name, values_of, without
from grokking_pl.commands.parser_internals import options
from grokking_pl.errors import UserError
from grokking_pl.experiments import flatten
from grokking_pl.experiments.messages import no_option, one_line, options_of_classes, unknown_option, wrong_value

# Some defaults, such as those of Lightning's Timer, are Enum members, which YAML cannot represent.
yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, member: dumper.represent_data(member.value))

KNOWN_CLASSES = re.compile(r",\s+known\s+subclasses:[\w\s.,]+")
MOST_CLASSES = 40
"""Most classes of an option that its help lists."""


class GrokParser(LightningArgumentParser):
    """Answers a wrong option with one line that names the nearest valid ones."""

    _is_parsing: ClassVar = False
    """Whether any is parsing: jsonargparse parses a class's options with a parser of their own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # With abbreviations, a mistyped option could match another one.
        kwargs.setdefault("epilog", DEBUG)
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def format_help(self, *args: Any, **kwargs: Any) -> str:
        """The help, in which no type lists the hundreds of classes of torch and torchvision."""
        return KNOWN_CLASSES.sub(
            lambda known: "" if known[0].count(",") > MOST_CLASSES else known[0], super().format_help(*args, **kwargs)
        )

    def print_help(self, file: Any = None) -> None:
        """Print the help, and fail if it cannot be printed, unlike argparse."""
        print(self.format_help(), end="", file=file)

    def parse_args(self, args: Any = None, *rest: Any, **kwargs: Any) -> Any:
        """Parse a command line.

        Raises:
            InvalidInput: something is wrong with it.
        """
        if self._is_parsing or args is None:
            return super().parse_args(args, *rest, **kwargs)
        GrokParser._is_parsing = True
        try:
            return super().parse_args(self.in_place(args), *rest, **kwargs)
        except InvalidInput as invalid:
            if invalid.option is not None:
                raise InvalidInput(self._no_option(invalid.option, args)) from invalid
            raise InvalidInput(_with_whole_name(invalid.line, args)) from invalid
        finally:
            GrokParser._is_parsing = False

    def in_place(self, words: Sequence[str]) -> list[str]:
        """The command line in the form that the parser accepts."""
        return [*words]

    def settings(self, words: Sequence[str]) -> dict[str, Any]:
        """The whole configuration given by a command line, nested as in a file."""
        config = self.parse_args([word for word in words if not word.startswith("--print_config")])
        settings: dict[str, Any] = json.loads(self.dump(config, skip_none=False, format="json"))
        return settings

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with one line that says what is wrong."""
        raise InvalidInput(one_line(message), unknown_option(message))

    def _no_option(self, name: str, words: Sequence[str]) -> str:
        """The message for an unknown option, with its whole name and those of the most similar options."""
        names = [spelling[2:] for option in options(self) for spelling in option.spellings if spelling[:2] == "--"]
        typed = typed_name(name, words)
        whole = typed or name_in_files(name, values_of("config", words)) or name
        section, dot, _ = whole.rpartition(".")
        names += [f"{section}{dot}{option}" for option in options_of_classes() if dot]
        if typed:
            with contextlib.suppress(InvalidInput, UserError):  # something else is wrong as well
                names += flatten(self.settings(self.in_place(without(typed, words))))
        return no_option(whole, [f"--{near}" for near in nearest(whole, names)])


def _with_whole_name(message: str, words: Sequence[str]) -> str:
    """A message about an option's value, with the option's whole name instead of its last part."""
    if wrong := wrong_value(message):
        name, value = wrong
        whole = typed_name(name, words, value) or name_in_files(name, values_of("config", words), value) or name
        return whole + message.removeprefix(name)
    return message
