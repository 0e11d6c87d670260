"""The one file that uses private parts of jsonargparse: for options that take a dataclass's options or a class.

jsonargparse 4.53 marks a union of the two with the previous value, from a default or a configuration: without this
file, ``--model.decoder=SGD`` would be SGD's options without its class, and together with ``--model.decoder.lr=0.1``
silently AdamW. ``tests/training/test_optimizer_settings.py`` fails if jsonargparse changes these parts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jsonargparse import Namespace, _typehints
from jsonargparse._common import is_subclasses_disabled
from jsonargparse._namespace import subclasses_disabled_meta_key
from jsonargparse._util import NestedArg, get_import_path

_mark: Any = _typehints._subclasses_disabled_mark
_sort: Any = _typehints.sort_subtypes_for_union
_is_class: Any = _typehints.is_subclass_spec
_discard: Any = _typehints.discard_init_args_on_class_path_change


def _mark_class(value: Any, typehint: Any) -> Any:
    """Like jsonargparse's, but objects made by a callable are not marked as dataclasses."""
    value = _mark(value, typehint)
    if typehint is None:
        value[subclasses_disabled_meta_key] = False
    return value


def _sort_by_previous(subtypes: Sequence[Any], value: Any, previous: Any, append: bool) -> Sequence[Any]:
    """Like jsonargparse's, but bare options belong to the current class, or else to a dataclass."""
    subtypes = _sort(subtypes, value, previous, append)
    there = previous["class_path"] if _is_class(previous) else None
    dataclasses = [kind for kind in subtypes if is_subclasses_disabled(kind)]
    if not dataclasses:
        return subtypes
    if there is None and isinstance(value, Mapping | Namespace) and not {"class_path", "init_args"} & {*value.keys()}:
        return dataclasses
    if isinstance(value, NestedArg):
        return sorted(subtypes, key=lambda kind: kind in dataclasses and there not in (None, get_import_path(kind)))
    return subtypes


def _discard_other_options(parser: Any, previous: Any, value: Any) -> None:
    """Like jsonargparse's, but a class inherits no options of a dataclass, which have other meanings."""
    if _is_class(previous) and previous.get(subclasses_disabled_meta_key) and previous.class_path != value.class_path:
        previous.init_args = Namespace()  # type: ignore[no-untyped-call]
    _discard(parser, previous, value)


def let_classes_replace_dataclasses() -> None:
    """Make the parser distinguish the classes and dataclasses that an option accepts."""
    _typehints._subclasses_disabled_mark = _mark_class
    _typehints.sort_subtypes_for_union = _sort_by_previous
    _typehints.discard_init_args_on_class_path_change = _discard_other_options
