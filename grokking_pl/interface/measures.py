"""Metrics of representations for NumPy arrays and tensors; the result has the type of the input.

Of an array, a result that is one number is a Python ``float``, any other a NumPy array; of a tensor, each is a tensor.
Integer arrays and nested lists are converted to double precision. A `Representation` can be given instead of
embeddings; it defines how two are combined, and results are tensors.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from grokking_pl import metrics
from grokking_pl.errors import UserError
from grokking_pl.metrics import Criterion, Representation
from grokking_pl.tasks import OperationTable

Values: TypeAlias = Any
"""A tensor, a NumPy array, or anything that NumPy converts to one."""

Combine = Callable[[Tensor, Tensor], Tensor]


def rqi(
    embeddings: Values | Representation,
    table: OperationTable,
    criterion: Criterion | None = None,
    combine: Combine = metrics.add,
) -> Any:
    """The representation quality index (equation 3 of the paper), see `grokking_pl.metrics.rqi`.

    Args:
        embeddings: (*batch, p, d), one row per symbol of the table.
        table: the operation.
        criterion: when two combined vectors count as equal; by default as in the published code.
        combine: how two embeddings are combined.

    Returns:
        Between 0 and 1, one number per representation.

    Raises:
        UserError: the embeddings have the wrong shape, are nan or infinite, or their number differs from the table's;
            or the table is none.

    >>> from grokking_pl.tasks import addition
    >>> rqi(np.arange(10.0)[:, None], addition(10))
    1.0
    """
    return _back(metrics.rqi(_representation(embeddings, combine, table), table, criterion), embeddings)


def predicted_accuracy(
    embeddings: Values | Representation,
    table: OperationTable,
    train: Values,
    criterion: Criterion | None = None,
    combine: Combine = metrics.add,
) -> Any:
    """The accuracy that a representation allows (section 3.1), see `grokking_pl.metrics.predicted_accuracy`.

    Args:
        embeddings: (*batch, p, d), one row per symbol of the table.
        table: the operation.
        train: training set, as a mask over the table's samples or as indices.
        criterion: when two combined vectors count as equal; by default as in the published code.
        combine: how two embeddings are combined.

    Returns:
        Between |D| / |D0| and 1, one number per representation.

    Raises:
        UserError: the embeddings or the training set do not fit the table.
    """
    representation = _representation(embeddings, combine, table)
    return _back(metrics.predicted_accuracy(representation, table, _samples(train), criterion), embeddings)


def ideal_accuracy(table: OperationTable, train: Values | None = None) -> Any:
    """The accuracy of an ideal model (section 3.2), see `grokking_pl.metrics.ideal_accuracy`.

    Args:
        table: the operation; it must commute.
        train: training set, as a mask over the table's samples or as indices; None for all samples.

    Raises:
        UserError: the operation does not commute, or the training set does not fit the table.
    """
    _check_table(table)
    return _back(metrics.ideal_accuracy(table, None if train is None else _samples(train)), train)


def effective_dimension(embeddings: Values | Representation) -> Any:
    """The effective dimension of embeddings (*batch, p, d) (figure 7), between 1 and min(p - 1, d).

    Raises:
        UserError: the embeddings have the wrong shape, or are nan or infinite.
    """
    return _back(metrics.effective_dimension(_embeddings(embeddings)), embeddings)


def explained_variance(embeddings: Values | Representation) -> Any:
    """The fraction of the variance of embeddings (*batch, p, d) along each principal component, descending.

    Raises:
        UserError: the embeddings have the wrong shape, or are nan or infinite.
    """
    return _back(metrics.explained_variance(_embeddings(embeddings)), embeddings)


def fourier_power(embeddings: Values | Representation) -> Any:
    """The fraction of the power of embeddings (*batch, p, d) at each frequency 1 .. floor(p / 2).

    Raises:
        UserError: the embeddings have the wrong shape, are fewer than two, or are nan or infinite.
    """
    return _back(metrics.fourier_power(_embeddings(embeddings)), embeddings)


def key_frequencies(embeddings: Values | Representation, factor: float = 3.0) -> Any:
    """Which frequencies hold more than ``factor`` times their uniform share of the power, from frequency 1.

    Raises:
        UserError: the embeddings have the wrong shape, are nan or infinite, or the factor is not above 1.
    """
    return _back(metrics.key_frequencies(_embeddings(embeddings), factor), embeddings)


def _representation(given: Any, combine: Combine, table: OperationTable) -> Representation:
    _check_table(table)
    representation = given if isinstance(given, Representation) else Representation(_embeddings(given), combine)
    if representation.p != table.p:
        raise UserError(
            f"embeddings of shape {tuple(representation.embeddings.shape)} were given for {table.name}, which has "
            f"{table.p} symbols: expected (*batch, {table.p}, d), one row per symbol"
        )
    return representation


def _check_table(table: Any) -> None:
    if not isinstance(table, OperationTable):
        raise UserError(
            f"{table!r} was given as the operation's table: expected a task, such as grokking_pl.tasks.addition(10)"
        )


def _embeddings(given: Any) -> Tensor:
    if isinstance(given, Representation):
        return given.embeddings
    values = given if isinstance(given, Tensor) else _tensor(given, "embeddings")
    if values.ndim < 2 or not values.shape[-2] or not values.shape[-1]:
        hint = ": for one number per symbol, give array[:, None]" if values.ndim == 1 else ""
        raise UserError(
            f"embeddings of shape {tuple(values.shape)} were given, expected (*batch, p, d), one row per symbol{hint}"
        )
    return values if values.is_floating_point() else values.double()


def _samples(given: Any) -> Tensor:
    return given if isinstance(given, Tensor) else _tensor(given, "a training set")


def _tensor(given: Any, what: str) -> Tensor:
    try:
        array = np.asarray(given)
        if array.dtype.kind not in "bifu":
            raise TypeError(f"of {array.dtype}")
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))  # a writable copy
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{type(given).__name__} was given as {what} ({' '.join(str(error).split())}): expected an array or a "
            "tensor of numbers"
        ) from None


def _back(result: Tensor, given: Any) -> Any:
    """Convert a result to the type of the input: a tensor, or a NumPy array or Python number."""
    if isinstance(given, Tensor | Representation):
        return result
    return result.numpy() if result.ndim else result.item()
