"""Wrong options: their whole names as they were typed, and the options that may have been meant."""

import difflib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from grokking_pl.experiments import entry_names

ALIKE = 0.7
"""Names at least this similar, by difflib's ratio, are offered as a correction."""
MOST_NAMED = 3


def option_of(word: str) -> str | None:
    """The name of the option that an argument sets; None for a value.

    >>> option_of("--trainer.callbacks+=PhaseTracker"), option_of("3")
    ('trainer.callbacks', None)
    """
    return word[2:].partition("=")[0].rstrip("+") if word.startswith("--") else None


def typed_name(name: str, words: Sequence[str], value: str | None = None) -> str | None:
    """The whole name of an option as typed on the command line; None if it is not there, or never with the value.

    >>> typed_name("widht", ["--model.architecture.widht", "3"])
    'model.architecture.widht'
    >>> typed_name("lr", ["--model.embeddings.lr=1", "--model.decoder.lr=x"], "x")
    'model.decoder.lr'
    """
    for option in filter(None, map(option_of, words)):
        if (option == name or option.endswith(f".{name}")) and value in (None, *values_of(option, words)):
            return option
    return None


def without(name: str, words: Sequence[str]) -> list[str]:
    """A command line without the arguments that set an option.

    >>> without("steps", ["--steps", "3", "--lr=1"])
    ['--lr=1']
    """
    kept, skipping = [], False
    for word in words:
        option = option_of(word)
        skipping = option == name or (skipping and option is None)
        if not skipping:
            kept.append(word)
    return kept


def values_of(name: str, words: Sequence[str]) -> list[str]:
    """The values that a command line gives to an option.

    >>> values_of("config", ["--config", "a.yaml", "--lr=1", "--config=b.yaml"])
    ['a.yaml', 'b.yaml']
    """
    values = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if option_of(word) == name:
            values.append(word.partition("=")[2] if "=" in word else following)
    return values


def name_in_files(name: str, files: Sequence[str], value: str | None = None) -> str | None:
    """The whole name of an option in one of the configuration files; None if it is in none, or never with the value."""
    for file in files:
        try:
            content = yaml.safe_load(Path(file).read_text())
        except (OSError, ValueError, yaml.YAMLError):
            continue
        for path, given in _paths(name, content):
            if value in (None, str(given), _class_path(given)):
                return path
    return None


def _class_path(given: Any) -> Any:
    return given.get("class_path") if isinstance(given, dict) else None


def _paths(name: str, content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every place of an option in a file, and its value there."""
    if isinstance(content, dict):
        entries = list(content.items())
    else:
        entries = list(zip(entry_names(content), content, strict=True)) if isinstance(content, list) else []
    for key, value in entries:
        path = prefix if key == "init_args" else f"{prefix}.{key}".lstrip(".")
        if key == name:
            yield path, value
        yield from _paths(name, value, path)


def nearest(name: str, known: Collection[str]) -> list[str]:
    """The options most similar to a name: several, if they are equally similar.

    >>> nearest("lr", ["model.embeddings.lr", "model.decoder.lr", "trainer.max_steps"])
    ['model.embeddings.lr', 'model.decoder.lr']
    >>> nearest("trainer.max_step", ["model.decoder.lr", "trainer.max_steps"])
    ['trainer.max_steps']
    """
    scores = {option: _likeness(name, option) for option in known if not f"{name}.".startswith(f"{option}.")}
    best = max(scores.values(), default=0)
    return [option for option, score in scores.items() if score == best >= ALIKE][:MOST_NAMED]


def _likeness(name: str, option: str) -> float:
    """The similarity of a name to an option, or to the last parts of the option, as many as the name has."""
    end = ".".join(option.split(".")[-len(name.split(".")) :])
    return max(difflib.SequenceMatcher(None, name, text).ratio() for text in (option, end))
