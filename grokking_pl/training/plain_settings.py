"""The arguments of a module as settings of plain values, so that its checkpoints hold no pickled code.

They have the form of a configuration file, from which Lightning's ``load_from_checkpoint`` makes them again.
"""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

CLASS_PATH = "_class_path"
"""Where the settings say which class a module is of."""

INSTANTIATOR = {"_instantiator": "lightning.pytorch.cli.instantiate_module"}
"""By what Lightning makes a module of such settings."""

PLAIN = (bool, int, float, str, type(None))


class NotPlain(Exception):
    """A value that is nothing but itself: a function within a function, a tensor, an open file."""


def plain_settings(module: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a module as settings; those that are no settings are left out, and asked for on loading.

    Args:
        module: the module.
        arguments: by name, as ``save_hyperparameters`` keeps them.
    """
    if CLASS_PATH in arguments:  # the command line has made them of a configuration
        return dict(arguments)
    settings: dict[str, Any] = {CLASS_PATH: import_path(type(module)), **INSTANTIATOR}
    for name, value in arguments.items():
        try:
            if inspect.isfunction(value) and inspect.signature(value).return_annotation is inspect.Signature.empty:
                raise NotPlain(value)  # a parser could not see what it makes
            settings[name] = as_setting(value)
        except NotPlain:
            continue
    return settings


def as_setting(value: Any) -> Any:
    """A value as a configuration file has it.

    >>> from grokking_pl.training import GroupOptions
    >>> as_setting([partial(GroupOptions, lr=1), GroupOptions])[0]
    {'class_path': 'grokking_pl.training.optimizer.GroupOptions', 'init_args': {'lr': 1}}

    Raises:
        NotPlain: no file could have it.
    """
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [as_setting(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): as_setting(part) for name, part in value.items()}
    if isinstance(value, partial):
        # jsonargparse makes of a class with options a call whose last argument is the class.
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
    """An object of a class that keeps its arguments under their names."""
    options = {}
    for name, parameter in inspect.signature(type(value)).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) or not hasattr(value, name):
            raise NotPlain(value)
        options[name] = as_setting(getattr(value, name))
    return {"class_path": import_path(type(value)), "init_args": options}


def import_path(named: Any) -> str:
    """Where a class or function can be imported from."""
    module, name = getattr(named, "__module__", None), getattr(named, "__qualname__", "")
    if getattr(sys.modules.get(str(module)), name, None) is not named:
        raise NotPlain(named)
    return f"{module}.{name}"
