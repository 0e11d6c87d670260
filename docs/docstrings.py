"""A griffe extension: how the package's docstrings are found and shown."""

import re
from typing import Any

from griffe import Extension, GriffeLoader, Module, Object

DOCTEST = re.compile(r"^>>> .*?(?=^[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


class Docstrings(Extension):
    """Puts the folder ``callbacks/`` where it is installed, and each doctest in a fence."""

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **kwargs: Any) -> None:
        """Add the package's part that lies outside of it."""
        if pkg.name == "grokking_pl":
            callbacks = loader.load("callbacks")
            assert isinstance(callbacks, Module)
            pkg.set_member("callbacks", callbacks)

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Fence the examples, which Markdown would take for quotations."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(
                lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", obj.docstring.value
            )
