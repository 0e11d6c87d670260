"""Shapes are checked while testing: what a signature says of a tensor holds at every call.

jaxtyping's import hook decorates the functions of the package, and beartype checks them. Two things are this project's:
types without a shape are left alone, for it is the package that tells a user of those; and so is what is compiled, for
a compiler sees the checks as part of the computation.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, get_args

import jaxtyping
import torch

_jaxtyped = jaxtyping.jaxtyped


def check_shapes(package: str) -> None:
    """Check the shapes in every module of a package that is imported from now on."""
    jaxtyping.jaxtyped = _checked
    jaxtyping.install_import_hook(package, "beartype.beartype")


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Leave shapes alone, so that a wrong one comes as far as the package's own error."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def _checked(function: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """What the hook puts on each function and class, as ``jaxtyped``, which is left out where there is no shape."""
    if function is None:
        return functools.partial(_checked, typechecker=typechecker)
    if isinstance(function, type):
        if dataclasses.is_dataclass(function) and _shapes(function.__init__):
            function.__init__ = _checked(function.__init__, typechecker=typechecker)
        return function
    if not _shapes(function):
        return function
    checking = _jaxtyped(function, typechecker=lambda signature: typechecker(_without_other_types(signature)))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        return checking(*args, **kwargs)

    return call


def _without_other_types(signature: Callable[..., Any]) -> Callable[..., Any]:
    signature.__annotations__ = _shapes(signature)
    return signature


def _shapes(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations that hold a shape."""
    annotations = getattr(function, "__annotations__", {})
    return {name: annotation for name, annotation in annotations.items() if _has_shape(annotation)}


def _has_shape(annotation: Any) -> bool:
    arguments = get_args(annotation)
    if arguments:
        return any(map(_has_shape, arguments))
    return isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray)
