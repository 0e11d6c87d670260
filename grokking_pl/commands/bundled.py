"""Configurations bundled with the package, by name: ``mnist_grok`` is ``configs/mnist_grok.yaml``.

A name is the file's path below ``configs/``, with or without that folder and the suffix, or its last part if unique.
Files in the working directory take precedence.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import grokking_pl
from grokking_pl.commands.named_files import SUFFIXES
from grokking_pl.errors import UserError

FOLDER = Path(grokking_pl.__file__).parent / "configs"

KINDS = {
    "fit": "for grok fit",
    "diagram": "for grok diagram",
    "sweep": "for grok sweep",
    "theory": "for grok theory",
    "part": "to be given beside another, with a second --config",
}
"""Kinds of configurations."""

TRAINER_COMMANDS = ("fit", "validate", "test", "predict")

CONFIG = ("--config", "-c")
"""Options whose values are looked up here; a diagram's base and a sweep's file are looked up by their commands."""


@dataclass(frozen=True)
class Bundled:
    """A bundled configuration.

    Args:
        name: path below ``configs/``, without suffix.
        path: path of the file.
    """

    name: str
    path: Path

    @property
    def about(self) -> str:
        """The first line, without the ``#``."""
        return self.path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")

    @property
    def kind(self) -> str:
        """The kind of the configuration, one of `KINDS`."""
        return kind_of(yaml.safe_load(self.path.read_text(encoding="utf-8")))


def kind_of(settings: Any) -> str:
    """The kind of a configuration with these settings, one of `KINDS`."""
    names = set(settings) if isinstance(settings, Mapping) else set()
    for kind, needed in (("fit", "model"), ("diagram", "base"), ("sweep", "parameters"), ("theory", "task")):
        if needed in names:
            return kind
    return "part"


def bundled(folder: Path = FOLDER) -> list[Bundled]:
    """All bundled configurations, sorted by name."""
    paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.yaml")}
    return [Bundled(name, paths[name]) for name in sorted(paths)]


def find(given: str, folder: Path = FOLDER) -> Bundled:
    """Find a bundled configuration by name.

    Raises:
        UserError: no or several configurations have this name.
    """
    known = bundled(folder)
    same = _same(given, known)
    if len(same) > 1:
        names = " or ".join(config.name for config in same)
        raise UserError(f"{len(same)} configurations are called {_name(given)}: say which, {names}")
    if same:
        return same[0]
    raise UserError(f"there is no configuration {given}{_nearest(given, [config.name for config in known])}")


def config_path(given: str, folder: Path = FOLDER) -> str:
    """The file for a configuration argument: an existing one, or else a bundled one.

    Raises:
        UserError: there is neither.
    """
    if not given or set(given) & set("{\n") or ": " in given:
        return given  # empty names are handled elsewhere, and settings may be given instead of a file
    try:
        for path in (Path(given), Path(f"{given}.yaml")):
            if path.exists() and not path.is_dir():
                return str(path)
        is_folder = Path(given).is_dir()
    except (OSError, ValueError):  # a name longer than a system allows
        return given
    return given if is_folder and not _same(given, bundled(folder)) else str(find(given, folder).path)


def with_bundled(words: list[str]) -> list[str]:
    """The words of a command line, with names of configurations replaced by files.

    Raises:
        UserError: a name matches no or several configurations.
    """
    found = list(words)
    for position, word in enumerate(words):
        option, is_joined, value = word.partition("=")
        if word in CONFIG and position + 1 < len(words):
            found[position + 1] = config_path(words[position + 1])
        elif option in CONFIG and is_joined:
            found[position] = f"{option}={config_path(value)}"
    return found


def check_kinds(words: list[str]) -> None:
    """Check that each configuration is for the command.

    Args:
        words: words of the command line, starting with the command, with files instead of names.

    Raises:
        UserError: a configuration is for another command.
    """
    command = "fit" if words[:1] and words[0] in TRAINER_COMMANDS else words[0] if words else ""
    if command not in KINDS:
        return
    for position, word in enumerate(words):
        option, is_joined, value = word.partition("=")
        path = value if is_joined else words[position + 1] if position + 1 < len(words) else ""
        if option not in CONFIG or not path or "\n" in path or not Path(path).is_file():
            continue
        kind = kind_of(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
        if kind not in (command, "part"):
            how = "" if kind == "sweep" else "--config "
            raise UserError(f"{path} is a configuration {KINDS[kind]}: run 'grok {kind} {how}{path}'")


def _same(given: str, known: list[Bundled]) -> list[Bundled]:
    """The configurations that match a name: the one with this full name, or all with this last part."""
    name = _name(given)
    whole = [config for config in known if config.name == name]
    return whole or [config for config in known if config.name.rpartition("/")[2] == name]


def _name(given: str) -> str:
    for suffix in SUFFIXES:
        given = given.removesuffix(suffix)
    return given.removeprefix("./").removeprefix("configs/")


def _nearest(given: str, known: list[str]) -> str:
    """A hint with the nearest file in the working directory, or the nearest name."""
    path = Path(given)
    # Without suffixes, which alone would make short names similar.
    beside = {file.stem: file.name for file in path.parent.glob("*.yaml")} if path.parent.is_dir() else {}
    near = difflib.get_close_matches(path.stem, beside, n=1)
    if near:
        return f": did you mean {path.with_name(beside[near[0]])}?"
    by_last = {name.rpartition("/")[2]: name for name in known}
    near = difflib.get_close_matches(_name(given), [*known, *by_last], n=1)
    if near:
        return f": did you mean {by_last.get(near[0], near[0])}?"
    return ": 'grok configs' lists those that come with grokking_pl"
