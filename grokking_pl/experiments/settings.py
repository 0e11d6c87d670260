"""Run settings, nested as in a configuration file, and their flat names, as on the command line.

The flat name of a setting is its path joined by dots, without the ``init_args`` that the command line omits.
"""

import copy
import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from grokking_pl.errors import UserError

Settings = dict[str, Any]
"""Sections ``model`` and ``data`` of a `grok fit` configuration, and possibly others."""


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to one level.

    An entry of a list is named by its class, where no other entry has a class of that name, or else by its place.

    >>> flatten({"model": {"class_path": "a.B", "init_args": {"lr": 1}}, "betas": [0.9, 0.999]})
    {'model': 'a.B', 'model.lr': 1, 'betas.0': 0.9, 'betas.1': 0.999}
    >>> flatten({"callbacks": [{"class_path": "a.B", "init_args": {"delay": 1}}]})
    {'callbacks.B': 'a.B', 'callbacks.B.delay': 1}
    """
    if isinstance(settings, dict):
        flat: dict[str, Any] = {}
        for key, value in settings.items():
            if key == "class_path":
                flat[prefix] = value
            else:
                flat |= flatten(value, prefix if key == "init_args" else f"{prefix}.{key}" if prefix else key)
        return flat
    if isinstance(settings, list):
        flat = {}
        for name, value in zip(entry_names(settings), settings, strict=True):
            flat |= flatten(value, f"{prefix}.{name}" if prefix else name)
        return flat
    return {prefix: settings}


def entry_names(entries: Sequence[Any]) -> list[str]:
    """The names of a list's entries: that of the class, if it has one of its own, or else the place.

    >>> entry_names([{"class_path": "a.B"}, {"class_path": "a.C"}, {"class_path": "b.C"}, 3])
    ['B', '1', '2', '3']
    """
    classes = [_class_name(entry) for entry in entries]
    return [name if name and classes.count(name) == 1 else str(place) for place, name in enumerate(classes)]


def _class_name(entry: Any) -> str | None:
    path = entry.get("class_path") if isinstance(entry, dict) else None
    return path.rpartition(".")[2] if isinstance(path, str) else None


def as_argument(name: str, value: Any) -> str:
    """Format a setting as a command line argument.

    >>> as_argument("model.decoder.betas", [0.9, 0.99])
    '--model.decoder.betas=[0.9, 0.99]'
    """
    return f"--{name}={value if isinstance(value, str) else json.dumps(value)}"


ELSEWHERE = {
    "trainer": "is the same for all runs of a diagram: set it in the base",
    "seed_everything": "is the seed of a run, and a diagram has seeds for all: give seeds, as in seeds: [1, 2]",
}
"""Where a diagram takes settings from that no axis can change."""


def check_name(name: str, names: Iterable[str]) -> None:
    """Raise a `UserError` with the nearest setting unless ``name`` is one of ``names``."""
    if name not in (known := list(names)):
        for start, why in ELSEWHERE.items():
            if f"{name}.".startswith(f"{start}."):
                raise UserError(f"{name} {why}")
        raise UserError(f"the base configuration has no hyperparameter {name}{nearest(name, known)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """A "did you mean" hint with the nearest name, to end an error message; empty if there are no names."""
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0)
    return f": did you mean {near[0]}?" if near else ""


def set_value(settings: Settings, name: str, value: Any) -> None:
    """Set a setting by its flat name; a class may be given by its path or with its options.

    >>> settings = {"model": {"class_path": "a.B", "init_args": {"decoder": {"lr": 1}}}}
    >>> set_value(settings, "model.decoder.lr", 2)
    >>> settings["model"]["init_args"]["decoder"]
    {'lr': 2}
    >>> set_value(settings, "model", "a.C")
    >>> settings
    {'model': {'class_path': 'a.C'}}
    """
    *parents, last = name.split(".")
    node: Any = settings
    for parent in parents:
        node = node[entry_names(node).index(parent)] if isinstance(node, list) else _arguments(node)[parent]
    if isinstance(node, list):
        node[entry_names(node).index(last)] = value
        return
    holds_options = isinstance(_arguments(node).get(last), dict)
    _arguments(node)[last] = {"class_path": value} if holds_options and _names_a_class(value) else copy.deepcopy(value)


def _names_a_class(value: Any) -> bool:
    """Whether a value is a class path or a class's short name (``mse`` and ``relu`` are not)."""
    return isinstance(value, str) and ("." in value or value[:1].isupper())


def _arguments(node: dict[str, Any]) -> dict[str, Any]:
    return node.setdefault("init_args", {}) if "class_path" in node else node
