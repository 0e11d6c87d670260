"""A module's arguments as plain settings, so that its checkpoints hold no pickled code.

They have the form of a configuration file, from which Lightning's ``load_from_checkpoint`` restores them.
"""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

CLASS_PATH = "_class_path"
"""The setting that names the module's class."""

INSTANTIATOR = {"_instantiator": "lightning.pytorch.cli.instantiate_module"}
"""How Lightning instantiates a module from such settings."""

PLAIN = (bool, int, float, str, type(None))


class NotPlain(Exception):
    """A value without a plain form: a local function, a tensor, an open file."""


def plain_settings(module: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A module's arguments as settings, without those that have no plain form, which loading then requires.

    Args:
        module: the module.
        arguments: arguments by name, as kept by ``save_hyperparameters``.
    """
    if CLASS_PATH in arguments:  # the command line made them from a configuration
        return dict(arguments)
    settings: dict[str, Any] = {CLASS_PATH: import_path(type(module)), **INSTANTIATOR}
    for name, value in arguments.items():
        try:
            if inspect.isfunction(value) and inspect.signature(value).return_annotation is inspect.Signature.empty:
                raise NotPlain(value)  # a parser cannot tell its result type
            settings[name] = as_setting(value)
        except NotPlain:
            continue
    return settings


def as_setting(value: Any) -> Any:
    """A value in the form of a configuration file.

    >>> from grokking_pl.training import GroupOptions
    >>> as_setting([partial(GroupOptions, lr=1), GroupOptions])[0]
    {'class_path': 'grokking_pl.training.optimizer.GroupOptions', 'init_args': {'lr': 1}}

    Raises:
        NotPlain: the value has no plain form.
    """
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [as_setting(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): as_setting(part) for name, part in value.items()}
    if isinstance(value, partial):
        # jsonargparse turns a class with options into a partial whose last argument is the class.
        made = value.args[-1] if value.args else value.func
        if value.args and not inspect.isclass(made):
            raise NotPlain(value)
        return {"class_path": import_path(made), "init_args": as_setting(value.keywords)}
    if inspect.isclass(value):
        return {"class_path": import_path(value)}
    if inspect.isfunction(value):
        return import_path(value)
    if is_dataclass(value):
        return {field.name: as_setting(getattr(value, field.name)) for field in fields(value) if field.init}
    return _made_again(value)


def _made_again(value: Any) -> dict[str, Any]:
    """An object whose class keeps its arguments as attributes of the same names."""
    options = {}
    try:
        parameters = inspect.signature(type(value)).parameters
    except ValueError:  # a class written in C, such as a tensor's
        raise NotPlain(value) from None
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) or not hasattr(value, name):
            raise NotPlain(value)
        options[name] = as_setting(getattr(value, name))
    return {"class_path": import_path(type(value)), "init_args": options}


def import_path(named: Any) -> str:
    """The import path of a class or function."""
    module, name = getattr(named, "__module__", None), getattr(named, "__qualname__", "")
    if getattr(sys.modules.get(str(module)), name, None) is not named:
        raise NotPlain(named)
    return f"{module}.{name}"
