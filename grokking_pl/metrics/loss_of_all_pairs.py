"""Restricted and excluded loss as torchmetrics classes, for logits that arrive in batches.

The projections are over all pairs, so the logits are collected until every pair has been seen.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchmetrics import Metric

from grokking_pl.errors import UserError
from grokking_pl.metrics.group_restricted_loss import check_irreps, group_excluded_loss, group_restricted_loss
from grokking_pl.metrics.restricted_loss import check_frequencies, excluded_loss, restricted_loss
from grokking_pl.tasks.table import OperationTable


class LossOfAllPairs(Metric, ABC):
    """A loss of the logits of all pairs (a, b) of p symbols, collected since the last reset; subclasses define it.

    Logits of a pair seen several times, as when the last batch is padded for several processes, are averaged. Memory:
    p^2 times the number of outputs, in double precision.

    Args:
        p: number of symbols.
        outputs: number of logits; None for p.
        samples: mask of the pairs to average over; None for all.
    """

    is_differentiable = False
    full_state_update = False
    logits: Tensor
    seen: Tensor
    samples: Tensor | None

    def __init__(self, p: int, outputs: int | None, samples: Bool[Tensor, "p p"] | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.register_buffer("samples", samples, persistent=False)
        shape = (p, p, p if outputs is None else outputs)
        self.add_state("logits", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("seen", torch.zeros(p, p, dtype=torch.long), dist_reduce_fx="sum")

    @abstractmethod
    def loss(self, logits: Float[Tensor, "p p outputs"]) -> Float[Tensor, ""]:
        """The loss of the logits of all pairs."""

    def update(self, pairs: Int[Tensor, "batch 2"], logits: Float[Tensor, "batch outputs"]) -> None:
        """Add the logits of a batch of pairs.

        Raises:
            UserError: a symbol is out of range, or the number of logits is wrong.
        """
        p, _, outputs = self.logits.shape
        if logits.shape[1] != outputs:
            raise UserError(f"there are {logits.shape[1]} logits for each pair, expected {outputs}")
        if len(pairs) and not 0 <= int(pairs.min()) <= int(pairs.max()) < p:
            raise UserError(f"symbols run from {int(pairs.min())} to {int(pairs.max())}, expected 0 to {p - 1}")
        place = tuple(pairs.T)
        self.logits.index_put_(place, logits.detach().to(self.logits), accumulate=True)
        self.seen.index_put_(place, torch.ones_like(place[0]), accumulate=True)

    def compute(self) -> Float[Tensor, ""]:
        """The loss; nan until every pair has been seen since the last reset."""
        if not self.seen.all():
            return torch.full((), torch.nan, device=self.seen.device)
        return self.loss(self.logits / self.seen[..., None]).float()


class RestrictedLoss(LossOfAllPairs):
    """The `restricted_loss` of addition modulo p, accumulated over batches.

    Args:
        p: number of symbols.
        frequencies: key frequencies, 1 .. floor(p / 2).
        outputs: number of logits; None for p.
        samples: mask of the pairs to average over; None for all.

    Raises:
        UserError: a frequency is out of range.

    >>> metric = RestrictedLoss(p=5, frequencies=[1])
    >>> pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    >>> for batch in pairs.split(10):
    ...     metric.update(batch, torch.zeros(len(batch), 5))
    >>> metric.compute().exp().round(decimals=4)
    tensor(5.)
    """

    def __init__(
        self,
        p: int,
        frequencies: Sequence[int],
        outputs: int | None = None,
        samples: Bool[Tensor, "p p"] | None = None,
        **kwargs: Any,
    ) -> None:
        check_frequencies(frequencies, p)
        super().__init__(p, outputs, samples, **kwargs)
        self.frequencies = list(frequencies)

    def loss(self, logits: Float[Tensor, "p p outputs"]) -> Float[Tensor, ""]:
        """The restricted loss."""
        return restricted_loss(logits, self.frequencies, self.samples)


class ExcludedLoss(RestrictedLoss):
    """The `excluded_loss` of addition modulo p, accumulated over batches.

    Args:
        p: number of symbols.
        frequencies: key frequencies, 1 .. floor(p / 2).
        outputs: number of logits; None for p.
        samples: mask of the pairs to average over, usually the training pairs; None for all.

    Raises:
        UserError: a frequency is out of range.
    """

    def loss(self, logits: Float[Tensor, "p p outputs"]) -> Float[Tensor, ""]:
        """The excluded loss."""
        return excluded_loss(logits, self.frequencies, self.samples)


class GroupRestrictedLoss(LossOfAllPairs):
    """The `group_restricted_loss` of a group's operation, accumulated over batches.

    Args:
        table: the group's operation.
        irreps: key representations, by number in `character_table`.
        outputs: number of logits; None for the group's order.
        samples: mask of the pairs to average over; None for all.

    Raises:
        UserError: a number is out of range, or the table is not that of a group.
    """

    def __init__(
        self,
        table: OperationTable,
        irreps: Sequence[int],
        outputs: int | None = None,
        samples: Bool[Tensor, "p p"] | None = None,
        **kwargs: Any,
    ) -> None:
        check_irreps(irreps, table)
        super().__init__(table.p, outputs, samples, **kwargs)
        self.table = table
        self.irreps = list(irreps)

    def loss(self, logits: Float[Tensor, "p p outputs"]) -> Float[Tensor, ""]:
        """The restricted loss."""
        return group_restricted_loss(logits, self.table, self.irreps, self.samples)


class GroupExcludedLoss(GroupRestrictedLoss):
    """The `group_excluded_loss` of a group's operation, accumulated over batches.

    Args:
        table: the group's operation.
        irreps: key representations, by number in `character_table`.
        outputs: number of logits; None for the group's order.
        samples: mask of the pairs to average over, usually the training pairs; None for all.

    Raises:
        UserError: a number is out of range, or the table is not that of a group.
    """

    def loss(self, logits: Float[Tensor, "p p outputs"]) -> Float[Tensor, ""]:
        """The excluded loss."""
        return group_excluded_loss(logits, self.table, self.irreps, self.samples)
