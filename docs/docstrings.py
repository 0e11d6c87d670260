"""A griffe extension: how the package's docstrings are shown."""

import re
from typing import Any

from griffe import Extension, Object

DOCTEST = re.compile(r"^>>> .*?(?=^[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


class Docstrings(Extension):
    """Puts each doctest in a fence."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Fence the examples, which Markdown would take for quotations."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(
                lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", obj.docstring.value
            )
