"""What training changes: parameters, moments and tracking of all members, stacked by place."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.adam import adam_coefficients, stack_options
from grokking_pl.population.member import GROUPS, Member, group_of_parameter, initial_parameters
from grokking_pl.population.tracking import Tracking

Stack = dict[str, Tensor]
"""Tensors by the name of a parameter, each with the places along its first dimension."""


class State:
    """The members of a batch on their way.

    Args:
        template: any of the members.
        places: how many are trained at a time.
        criteria: what decides a member's phase.
        budget: steps within which the thresholds must be reached.
        keep_curves: whether to keep the accuracies on the way.
        device: where the members are trained.
        stop_when_decided: whether a member ends as soon as its phase is decided, or trains for the whole budget.

    Attributes:
        parameters: the parameters.
        first: running means of their gradients.
        second: running means of the gradients' squares.
        group: the number of the group in `GROUPS` to which each parameter belongs.
        options: how each group of each place is optimised, as rows of `stack_options`.
        tracking: how far the members are.
    """

    def __init__(
        self,
        template: Member,
        places: int,
        criteria: PhaseCriteria,
        budget: int,
        keep_curves: bool,
        device: torch.device,
        stop_when_decided: bool = True,
    ) -> None:
        self.parameters: Stack = {
            name: torch.zeros(places, *value.shape, dtype=value.dtype, device=device)
            for name, value in initial_parameters(template).items()
        }
        self.first: Stack = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.second: Stack = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.group = {name: GROUPS.index(group) for name, group in group_of_parameter(template.module).items()}
        self.options: Float[Tensor, "places groups 6"] = torch.zeros(
            places, len(GROUPS), 6, dtype=torch.float64, device=device
        )
        self.tracking = Tracking(places, criteria, budget, keep_curves, device, stop_when_decided)

    def put(self, place: int, member: Member, saved: dict[str, Any] | None) -> None:
        """Start a member at a place, or go on with it from what `saved` returned."""
        initial = {"parameters": initial_parameters(member), "first": {}, "second": {}}
        for key, values in (saved or initial).items():
            if key in initial:
                for name, stack in getattr(self, key).items():
                    stack[place] = values.get(name, torch.zeros(())).to(stack.device)
        self.options[place] = stack_options([member.options[name] for name in GROUPS], self.options.device)
        self.tracking.put(place, member, saved and saved["tracking"])

    def saved(self, place: int) -> dict[str, Any]:
        """Everything that `put` needs to go on with the member of a place."""
        stacks = {"parameters": self.parameters, "first": self.first, "second": self.second}
        return {
            **{
                key: {name: value[place].cpu().clone() for name, value in stack.items()}
                for key, stack in stacks.items()
            },
            "tracking": self.tracking.saved(place),
        }

    def coefficients_ahead(self, steps: int) -> tuple[Float[Tensor, "places groups 7"], ...]:
        """The numbers that `adam_step` multiplies with, for each of the next steps."""
        ahead = torch.arange(1, steps + 1, device=self.options.device, dtype=torch.float64)
        # (steps, places, groups): the number of the update
        numbers = (self.tracking.step + ahead[:, None])[:, :, None].expand(-1, -1, len(GROUPS))
        return adam_coefficients(self.options.expand(steps, -1, -1, -1), numbers).unbind(0)

    def tensors(self) -> list[Tensor]:
        """All that changes while members are trained."""
        stacks = (self.parameters, self.first, self.second)
        return [value for stack in stacks for value in stack.values()] + self.tracking.tensors()
