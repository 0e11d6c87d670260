"""A cache for functions of an operation table, which lives as long as the table."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from grokking_pl.tasks import OperationTable

Value = TypeVar("Value")
Further = ParamSpec("Further")


def once_per_table(
    function: Callable[Concatenate[OperationTable, Further], Value],
) -> Callable[Concatenate[OperationTable, Further], Value]:
    """Cache a function of a table and of hashable arguments, such as a device."""
    remembered: WeakKeyDictionary[OperationTable, dict[object, Value]] = WeakKeyDictionary()

    @wraps(function)
    def remembering(table: OperationTable, *arguments: Further.args, **options: Further.kwargs) -> Value:
        values = remembered.setdefault(table, {})
        key = arguments, tuple(options.items())
        if key not in values:
            values[key] = function(table, *arguments, **options)
        return values[key]

    return remembering
