"""The one file that uses private parts of jsonargparse.

An option that takes a dataclass's options or a class: jsonargparse 4.53 keeps a mark of whichever was there before, be
it a default or a configuration's. ``--model.decoder=SGD`` would become SGD's options without its class, and with
``--model.decoder.lr=0.1`` silently AdamW. With this file, what a user types is what is trained.
``tests/training/test_optimizer_settings.py`` fails when jsonargparse has changed these parts.

A class given by its short name: where several libraries have a class of the same name (torch's ``Transformer``,
torchvision's ``MLP``, Lightning's ``ReduceLROnPlateau``), the name means this project's, or else PyTorch's.
``tests/commands/test_short_names.py`` fails when it no longer does.
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
_resolve: Any = _typehints.resolve_class_path_by_name


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


def _resolve_to_own(cls: Any, name: str) -> str:
    """As jsonargparse's, but of several classes with the same name, choose this project's, or else PyTorch's."""
    try:
        path: str = _resolve(cls, name)
    except ValueError:
        paths = [path for path in _typehints.get_all_subclass_paths(cls) if path.endswith(f".{name}")]
        for home in ("grokking_pl.", "torch."):
            if len(known := [path for path in paths if path.startswith(home)]) == 1:
                return known[0]
        raise
    return path


def adapt_parser() -> None:
    """Make the parser distinguish the classes and dataclasses that an option accepts, and prefer this project's."""
    _typehints._subclasses_disabled_mark = _mark_class
    _typehints.sort_subtypes_for_union = _sort_by_previous
    _typehints.discard_init_args_on_class_path_change = _discard_other_options
    _typehints.resolve_class_path_by_name = _resolve_to_own
