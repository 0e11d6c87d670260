"""Observation of the members' embeddings during training (sections 3.1 and 4.2 of the paper)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics import (
    Criterion,
    Representation,
    effective_dimension,
    predicted_accuracy,
    published_criterion,
    rqi,
)
from grokking_pl.population.member import Member

SPACING = 1.2
"""Least ratio between the steps of consecutive observations kept."""


@dataclass(frozen=True)
class ObservationOptions:
    """Options for observing the embeddings, if the architecture has any.

    RQI and predicted accuracy also need a method ``combine``, which declares how two embeddings are combined.

    Args:
        every_n_steps: steps between observations, rounded up to a multiple of phase.every_n_steps.
        rqi_threshold: RQI above which the representation counts as formed.
        criterion: when two combined embeddings count as equal; null for the criterion of the authors' published code.

    Raises:
        UserError: a value is out of range.
    """

    every_n_steps: int = 100
    rqi_threshold: float = 0.95
    criterion: Criterion | None = None

    def __post_init__(self) -> None:
        if self.every_n_steps < 1:
            raise UserError(f"observe.every_n_steps is {self.every_n_steps}; it must be at least 1")
        if not 0 <= self.rqi_threshold < 1:
            raise UserError(f"observe.rqi_threshold is {self.rqi_threshold}; it must be at least 0 and below 1")

    def interval(self, evaluation: int) -> int:
        """Steps between observations, if accuracies are evaluated every ``evaluation`` steps."""
        return -(-self.every_n_steps // evaluation) * evaluation


@dataclass
class Observed:
    """Observations of a member's embeddings: latest values, nan before the first one or after divergence.

    The last observation is the first one after the end of the run, or the last one within the budget.

    Args:
        steps_to_rqi: step of the first observation with RQI above its threshold; None for none.
        rqi: representation quality index.
        predicted_accuracy: predicted accuracy of the representation, on all samples.
        effective_dimension: exponential of the entropy of the principal components.
        looked: whether there was an observation.
        closed: whether there will be no further one.
        looks: step, RQI, predicted accuracy and effective dimension of some observations, each at least a fifth later
            than the previous one, if curves are kept.
    """

    steps_to_rqi: int | None = None
    rqi: float = math.nan
    predicted_accuracy: float = math.nan
    effective_dimension: float = math.nan
    looked: bool = False
    closed: bool = False
    looks: list[tuple[int, float, float, float]] = field(default_factory=list)


class Look(NamedTuple):
    """One observation of one member's embeddings.

    Attributes:
        place: place of the member.
        member: the member.
        step: updates made.
        ended: whether the member has ended, so that this is the last observation.
        observed: its observations so far; updated.
    """

    place: int
    member: Member
    step: int
    ended: bool
    observed: Observed


class Observer:
    """Observes the embeddings of members.

    Args:
        template: any member of the kind.
        options: observation options.
        keep_curves: whether to keep intermediate observations.
    """

    def __init__(self, template: Member, options: ObservationOptions, keep_curves: bool = False) -> None:
        representation: Representation = template.module.representation
        # Without a combination of two embeddings there are no parallelograms, only the effective dimension.
        self._combine = representation.combine if template.module.has_combination else None
        self._criterion = options.criterion or (published_criterion(representation) if self._combine else None)
        self._threshold = options.rqi_threshold
        self._keep_curves = keep_curves

    def look(self, embeddings: Float[Tensor, "places p d"], looks: Sequence[Look]) -> None:
        """Observe some members, given the embeddings at all places."""
        finite = embeddings.isfinite().flatten(1).all(1).tolist()
        for group in _by_table([look for look in looks if finite[look.place]]):
            self._look_at(embeddings[[look.place for look in group]], group)
        for look in looks:
            observed = look.observed
            if not finite[look.place]:
                observed.rqi = observed.predicted_accuracy = observed.effective_dimension = math.nan
            observed.looked, observed.closed = True, look.ended

    def _look_at(self, embeddings: Float[Tensor, "members p d"], looks: Sequence[Look]) -> None:
        """Observe members with the same operation."""
        qualities = predictions = [math.nan] * len(looks)
        if self._combine:
            table = looks[0].member.data.table  # type: ignore[attr-defined]
            train = torch.zeros(len(looks), len(table), dtype=torch.bool)
            for row, look in enumerate(looks):
                train[row, look.member.data.train_indices] = True  # type: ignore[attr-defined]
            representation = Representation(embeddings, self._combine)
            qualities = rqi(representation, table, self._criterion).tolist()
            predictions = predicted_accuracy(representation, table, train, self._criterion).tolist()
        values = zip(qualities, predictions, effective_dimension(embeddings).tolist(), strict=True)
        for look, (quality, predicted, dimension) in zip(looks, values, strict=True):
            observed = look.observed
            observed.rqi, observed.predicted_accuracy, observed.effective_dimension = quality, predicted, dimension
            if observed.steps_to_rqi is None and quality > self._threshold:
                observed.steps_to_rqi = look.step
            # Evenly spaced on a logarithmic axis, so that runs of any length keep few.
            kept = observed.looks
            if self._keep_curves and (look.ended or not kept or look.step >= SPACING * kept[-1][0]):
                kept.append((look.step, quality, predicted, dimension))


def is_observable(member: Member) -> bool:
    """Whether the member has embeddings of the symbols of an operation."""
    has_table = all(hasattr(member.data, name) for name in ("table", "train_indices"))
    return has_table and member.module.has_representation


def _by_table(looks: Sequence[Look]) -> list[list[Look]]:
    """Group observations by operation, so that each group takes one call."""
    groups: list[list[Look]] = []
    for look in looks:
        table = look.member.data.table  # type: ignore[attr-defined]
        for group in groups:
            other = group[0].member.data.table  # type: ignore[attr-defined]
            if table is other or all(torch.equal(getattr(table, name), getattr(other, name)) for name in "abc"):
                group.append(look)
                break
        else:
            groups.append([look])
    return groups
