"""Options of a configuration's callbacks by class name, such as ``--trainer.callbacks.PhaseTracker.delay``.

jsonargparse itself can only set options of the last entry of a list.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from grokking_pl.commands.mistyped import nearest
from grokking_pl.commands.parser import GrokParser
from grokking_pl.commands.standard_callbacks import FIRST, LAST, as_list
from grokking_pl.errors import UserError
from grokking_pl.experiments import entry_names

OPTION = re.compile(r"--trainer\.callbacks\.([A-Z]\w*)\.(.+)", re.DOTALL)
IN_EVERY_RUN = tuple(kind.__name__ for kind in (*FIRST, *LAST))


class TrainerParser(GrokParser):
    """The parser of the trainer's commands, whose configurations have callbacks."""

    def in_place(self, words: Sequence[str]) -> list[str]:
        """Move options that name a callback's class directly after that callback."""
        return with_options_in_place(words, self.settings)


def with_options_in_place(words: Sequence[str], parse: Callable[[list[str]], dict[str, Any]]) -> list[str]:
    """Move options that name a callback's class directly after that callback, where the parser accepts them.

    Args:
        words: the command line.
        parse: returns the whole configuration given by a command line.

    Raises:
        UserError: the configuration does not have the callback, or has it twice.
    """
    others, given = _split(words)
    if not given:
        return [*words]
    callbacks = as_list(parse(others)["trainer"]["callbacks"])
    callbacks += [{"class_path": name} for name in IN_EVERY_RUN if name in given and name not in _classes(callbacks)]
    for name in given:
        _check(name, _classes(callbacks))
    placed = [*others, "--trainer.callbacks=[]"]
    for name, callback in zip(entry_names(callbacks), callbacks, strict=True):
        placed += [f"--trainer.callbacks+={json.dumps(callback)}", *given.get(name, [])]
    return placed


def _split(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The other arguments, and those that set an option of a named callback, by callback and without its name."""
    others: list[str] = []
    given: dict[str, list[str]] = {}
    current = others
    for word in words:
        named = OPTION.match(word)
        if named:
            current = given.setdefault(named[1], [])
            word = f"--trainer.callbacks.{named[2]}"
        elif word.startswith("--"):
            current = others
        current.append(word)
    return others, given


def _classes(callbacks: Sequence[dict[str, Any]]) -> list[str]:
    return [callback["class_path"].rpartition(".")[2] for callback in callbacks]


def _check(name: str, classes: Sequence[str]) -> None:
    if classes.count(name) > 1:
        raise UserError(
            f"there are {classes.count(name)} callbacks {name}: set their options in the configuration file"
        )
    if name not in classes:
        near = nearest(name, classes)
        hint = f"did you mean {near[0]}?" if near else f"add it with --trainer.callbacks+={name}"
        raise UserError(f"the configuration has no callback {name}: {hint}")
