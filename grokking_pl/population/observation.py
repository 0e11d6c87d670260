"""What the embeddings of a population's members look like while they form (sections 3.1 and 4.2 of the paper)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class ObservationOptions:
    """When the embeddings are looked at, where the architecture has any.

    Args:
        every_n_steps: steps between looks, rounded up to a multiple of phase.every_n_steps.
        rqi_threshold: RQI above which the representation counts as formed.
        criterion: when two combined embeddings count as equal; null for that of the authors' published code.

    Raises:
        UserError: a value is out of its range.
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
        """Steps between looks, if accuracies are evaluated every ``evaluation`` steps."""
        return -(-self.every_n_steps // evaluation) * evaluation


@dataclass
class Observed:
    """What was seen of a member's embeddings: the latest values, nan before the first look or where it diverged.

    The last look is the first one after the phase is decided, or the last one within the budget.

    Args:
        steps_to_rqi: step of the first look at which RQI was above its threshold; None for none.
        rqi: representation quality index.
        predicted_accuracy: accuracy that the representation predicts, on all samples.
        effective_dimension: exponential of the entropy of the principal components.
        looked: whether there was a look.
        closed: whether there will be none any more.
        looks: step, RQI, predicted accuracy and effective dimension of some looks, each a fifth later than the one
            before at least, if curves are kept.
    """

    steps_to_rqi: int | None = None
    rqi: float = math.nan
    predicted_accuracy: float = math.nan
    effective_dimension: float = math.nan
    looked: bool = False
    closed: bool = False
    looks: list[tuple[int, float, float, float]] = field(default_factory=list)


class Observer:
    """Looks at the embeddings of members.

    Args:
        template: a member of the kind.
        options: when to look and how to judge.
        embeddings_of: the embeddings of all places, from their stacked parameters.
        keep: whether records keep looks on the way.
    """

    def __init__(
        self,
        template: Member,
        options: ObservationOptions,
        embeddings_of: Callable[[dict[str, Tensor]], Float[Tensor, "members p d"]],
        keep: bool = False,
    ) -> None:
        self._combine = template.module.network.combine
        self._criterion = options.criterion or published_criterion(template.module.representation)
        self._threshold = options.rqi_threshold
        self._embeddings_of = embeddings_of
        self._keep = keep

    def look(
        self, parameters: dict[str, Tensor], members: Sequence[tuple[int, Member, int, bool]], records: list[Observed]
    ) -> None:
        """Look at some of the members.

        Args:
            parameters: of all places.
            members: place, member, steps made and whether its phase is decided, of each to look at.
            records: what was seen at each place; updated.
        """
        embeddings = self._embeddings_of(parameters)
        finite = embeddings.isfinite().flatten(1).all(1).tolist()
        for group in _by_table([each for each in members if finite[each[0]]]):
            self._look_at(embeddings, group, records)
        for place, _, _, decided in members:
            record = records[place]
            if not finite[place]:
                record.rqi = record.predicted_accuracy = record.effective_dimension = math.nan
            record.looked, record.closed = True, decided

    def _look_at(
        self,
        embeddings: Float[Tensor, "members p d"],
        group: list[tuple[int, Member, int, bool]],
        records: list[Observed],
    ) -> None:
        table = group[0][1].data.table  # type: ignore[attr-defined]
        train = torch.zeros(len(group), len(table), dtype=torch.bool)
        for row, (_, member, _, _) in enumerate(group):
            train[row, member.data.train_indices] = True  # type: ignore[attr-defined]
        stack = embeddings[[place for place, *_ in group]]
        representation = Representation(stack, self._combine)  # type: ignore[arg-type]
        values = zip(
            rqi(representation, table, self._criterion).tolist(),
            predicted_accuracy(representation, table, train, self._criterion).tolist(),
            effective_dimension(stack).tolist(),
            strict=True,
        )
        for (place, _, step, decided), (quality, predicted, dimension) in zip(group, values, strict=True):
            record = records[place]
            record.rqi, record.predicted_accuracy, record.effective_dimension = quality, predicted, dimension
            if record.steps_to_rqi is None and quality > self._threshold:
                record.steps_to_rqi = step
            # Evenly spaced on a logarithmic axis, so that a run of any length keeps few.
            if self._keep and (decided or not record.looks or step >= SPACING * record.looks[-1][0]):
                record.looks.append((step, quality, predicted, dimension))


def is_observable(member: Member) -> bool:
    """Whether the member has embeddings of the symbols of an operation."""
    network = member.module.network
    return all(hasattr(network, name) for name in ("embeddings", "combine")) and all(
        hasattr(member.data, name) for name in ("table", "train_indices")
    )


def _by_table(members: Sequence[tuple[int, Member, int, bool]]) -> list[list[tuple[int, Member, int, bool]]]:
    """Members of the same operation together: their embeddings are judged by one call."""
    groups: list[list[tuple[int, Member, int, bool]]] = []
    for each in members:
        table = each[1].data.table  # type: ignore[attr-defined]
        for group in groups:
            other = group[0][1].data.table  # type: ignore[attr-defined]
            if table is other or all(torch.equal(getattr(table, x), getattr(other, x)) for x in "abc"):
                group.append(each)
                break
        else:
            groups.append([each])
    return groups
