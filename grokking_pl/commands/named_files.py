"""Checks of files and folders on the command line, before a parser reads them."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import yaml

from grokking_pl.errors import UserError, message_on_one_line

OPTIONS = ("--config", "-c", "--base")
FOLDERS = ("run_dir", "folder", "output", "ckpt_path")
SUFFIXES = (".yaml", ".yml")
MOST_BYTES = 1_000_000
MOST_VALUES = 100_000
"""Most values of a configuration, with aliases expanded."""

PARSERS_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader of the commands' parsers; where it is libyaml's, it refuses more than PyYAML's own."""


def check_named_files(words: list[str]) -> None:
    """Check every configuration file on a command line, and that no file or folder has an empty name.

    Raises:
        UserError: a configuration is invalid as for `check_config_file`, or a name is empty.
    """
    for name in FOLDERS:
        if f"--{name}=" in words or (f"--{name}", "") in itertools.pairwise(words):
            raise _empty(f"--{name}")
    for path in _named(words):
        check_config_file(path)


def check_config_file(path: Path) -> None:
    """Check a configuration file; a missing one is reported by the parser.

    Raises:
        UserError: it is not a file, cannot be read, is empty, is not UTF-8 text or YAML, has a key twice, or is too
            large with aliases expanded.
    """
    try:
        if not path.exists():
            return
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "a pipe or a device, not a file"
            raise UserError(f"the configuration {path} is {kind}: give a YAML file")
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"the configuration {path} has {path.stat().st_size} bytes: is it a YAML file?")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"the configuration {path} is not UTF-8 text ({error.reason}): save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"the configuration {path} cannot be read ({error.strerror}): give a YAML file") from None
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        for _ in yaml.parse(text, PARSERS_LOADER):
            pass
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
            raise UserError(f"the configuration {path} is empty: give it settings, or leave it out")
        if isinstance(node, yaml.SequenceNode | yaml.ScalarNode):
            raise UserError(f"the configuration {path} has no sections: expected some, such as trainer, model and data")
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.value in FOLDERS and value.value == "" and value.style:
                raise _empty(f"{key.value} in {path}")
        size = _expanded_size(node, {})
        if size <= MOST_VALUES:
            _check_repetitions(node, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(
            f"the configuration {path} is not valid YAML{where}: {error.problem or error.context}"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"the configuration {path} is not valid YAML: {message_on_one_line(error)}") from None
    except RecursionError:
        raise UserError(f"the configuration {path} is nested too deeply: use fewer levels") from None
    except _Cycle:
        raise UserError(f"the configuration {path} has an anchor that contains itself: remove the alias") from None
    if size > MOST_VALUES:
        raise UserError(
            f"the configuration {path} has {size:.3g} values with its aliases expanded; at most {MOST_VALUES} "
            "are allowed"
        )


def _empty(name: str) -> UserError:
    return UserError(f"{name} is empty: give the name of a file or folder, or leave it out")


class _Cycle(Exception):
    """A node that contains itself."""


def _expanded_size(node: yaml.Node, sizes: dict[int, int | None]) -> int:
    """The number of values in a node; aliases are the same node, whose size is computed once and added each time."""
    key = id(node)
    if key in sizes:
        known = sizes[key]
        if known is None:  # still being counted, so this node is inside it
            raise _Cycle
        return known
    sizes[key] = None
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    else:
        parts = node.value if isinstance(node, yaml.SequenceNode) else []
    size = sizes[key] = 1 + sum(_expanded_size(part, sizes) for part in parts)
    return size


def _check_repetitions(node: yaml.Node, path: Path) -> None:
    """Raise a `UserError` if a mapping has a key twice, of which YAML's readers use only the last."""
    first: dict[str, yaml.Node] = {}
    for part in node.value if isinstance(node, yaml.CollectionNode) else ():
        if isinstance(node, yaml.MappingNode):
            key, part = part
            if isinstance(key, yaml.ScalarNode) and first.setdefault(key.value, key) is not key:
                here, before = (each.start_mark.line + 1 for each in (key, first[key.value]))
                raise UserError(
                    f"the configuration {path} has {key.value} in line {before} and again in line {here}: remove one"
                )
        _check_repetitions(part, path)


def _named(words: list[str]) -> Iterator[Path]:
    """The files given to configuration options, and all words named like a configuration file."""
    for number, word in enumerate(words):
        option, is_joined, value = word.partition("=")
        if word in OPTIONS and number + 1 < len(words):
            yield Path(words[number + 1])
        elif option in OPTIONS and is_joined:
            yield Path(value)
        elif (name := value if is_joined and word.startswith("-") else word).endswith(SUFFIXES):
            yield Path(name)
