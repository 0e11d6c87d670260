"""Base class of optimizers for many networks: options per network, and an update of stacked tensors."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from grokking_pl.errors import UserError

OPTIONS = 6
"""Number of options per group of a network; the first is always the learning rate."""

COEFFICIENTS = 7
"""Number of coefficients of an update, which depend only on the options and the update number."""


class UpdateRule(ABC):
    """The update of one parameter of every network, with each network's own options.

    Equal rules are the same computation, so that networks with equal rules can be trained as one batch.

    Attributes:
        moments: number of moments per parameter, one or two.
    """

    moments: ClassVar[int] = 1

    @abstractmethod
    def coefficients(
        self, options: Float[Tensor, "*places 6"], step: Float[Tensor, " *places"]
    ) -> Float[Tensor, "*places 7"]:
        """The coefficients of `step` for update number ``step`` (from 1), in double precision."""

    @abstractmethod
    def step(
        self,
        parameter: Float[Tensor, "members ..."],
        gradient: Float[Tensor, "members ..."],
        first: Float[Tensor, "members ..."],
        second: Float[Tensor, "members ..."] | None,
        coefficients: Float[Tensor, "members 7"],
    ) -> None:
        """Update one parameter of every network, and its moments, in place.

        Args:
            parameter: stacked parameter.
            gradient: its gradient.
            first: first moment; 0 before the first update.
            second: second moment, if the rule has two.
            coefficients: coefficients of each network.
        """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self)})"


def columns(coefficients: Float[Tensor, "members 7"], parameter: Float[Tensor, "members ..."]) -> tuple[Tensor, ...]:
    """Each coefficient with as many dimensions as the parameter: (members, 1, ..., 1)."""
    return tuple(column.view(-1, *[1] * (parameter.dim() - 1)) for column in coefficients.unbind(1))


def refuse_options(kind: type, options: dict[str, Any], *names: str) -> None:
    """Raise a `UserError` for optimizer options that no rule supports."""
    for name in names:
        if options.get(name):
            raise UserError(
                f"a diagram cannot train with {kind.__name__}'s {name}: remove it, or train with grok fit or grok sweep"
            )
