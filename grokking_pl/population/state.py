"""The state of a batch: parameters, moments and tracking of all members, stacked by place."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.interventions import StackedInterventions
from grokking_pl.population.member import Member, initial_parameters, part_of_parameter
from grokking_pl.population.rates import Rates
from grokking_pl.population.tracking import Tracking
from grokking_pl.population.update_rule import OPTIONS

Stack = dict[str, Tensor]
"""Tensors by parameter name, with places along the first dimension."""


class State:
    """The training state of a batch.

    Args:
        template: any member.
        places: number of members trained at a time.
        criteria: criteria for a member's phase.
        budget: steps within which the thresholds must be reached.
        keep_curves: whether to keep accuracy curves.
        device: device to train on.
        stop_when_decided: whether a member ends as soon as its phase is decided, or trains for the whole budget.

    Attributes:
        parameters: parameters.
        first: first moments, such as running means of gradients.
        second: second moments, such as running means of squared gradients, for rules with two.
        rules: update rule of each part of the parameters.
        part: index of each parameter's part.
        options: options of each part's rule, at each place.
        clipping: what to clip: ``norm`` or ``value`` of gradients; None for nothing.
        most: largest norm or value, at each place.
        interventions: interventions before and after updates.
        tracking: progress of the members.
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
        self._dtype = next(iter(self.parameters.values())).dtype
        self.first: Stack = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        parts = list(template.updates)
        self.part = {name: parts.index(part) for name, part in part_of_parameter(template).items()}
        self.rules = [update.rule for update in template.updates.values()]
        self.second: Stack = {
            name: torch.zeros_like(value)
            for name, value in self.parameters.items()
            if self.rules[self.part[name]].moments == 2
        }
        self.options: Float[Tensor, "places parts options"] = torch.zeros(
            places, len(parts), OPTIONS, dtype=torch.float64, device=device
        )
        self.clipping = template.trainer.clipping
        self.most: Float[Tensor, " places"] = torch.full((places,), torch.inf, dtype=self._dtype, device=device)
        self._rates = Rates(places, len(parts), budget, device)
        self.interventions = StackedInterventions(template.interventions, template.module, places, device)
        self.tracking = Tracking(places, criteria, budget, keep_curves, device, stop_when_decided)

    def put(self, place: int, member: Member, saved: dict[str, Any] | None) -> None:
        """Start a member at a place, or resume it from the result of `saved`."""
        initial = {"parameters": initial_parameters(member), "first": {}, "second": {}}
        for key, values in (saved or initial).items():
            if key in initial:
                for name, stack in getattr(self, key).items():
                    stack[place] = values.get(name, torch.zeros(())).to(stack.device)
        self.options[place] = torch.tensor([update.options for update in member.updates.values()], dtype=torch.float64)
        self._rates.put(place, member)
        self.most[place] = member.trainer.gradient_clip_val or torch.inf
        weights = initial_parameters(member) if member.interventions and not saved else {}
        states = saved["interventions"] if saved else None
        self.interventions.put(place, member.interventions, weights, member.seed, states)
        self.tracking.put(place, member, saved and saved["tracking"])

    def saved(self, place: int) -> dict[str, Any]:
        """The state of the member at a place, for `put` to resume from."""
        stacks = {"parameters": self.parameters, "first": self.first}
        return {
            **{
                key: {name: value[place].cpu().clone() for name, value in stack.items()}
                for key, stack in stacks.items()
            },
            # Distinguishes rules without second moments from lost moments.
            "second": {
                name: self.second[name][place].cpu().clone() if name in self.second else torch.zeros(())
                for name in self.parameters
            },
            "interventions": self.interventions.saved(place),
            "tracking": self.tracking.saved(place),
        }

    def coefficients_ahead(self, steps: int) -> tuple[Float[Tensor, "places parts coefficients"], ...]:
        """The update coefficients for each of the next steps."""
        ahead = torch.arange(1, steps + 1, device=self.options.device, dtype=torch.float64)
        # (steps, places, parts): the number of the update
        numbers = (self.tracking.step + ahead[:, None])[:, :, None].expand(-1, -1, len(self.rules))
        options = self._rates.scheduled(self.options.expand(steps, -1, -1, -1), numbers)
        if all(rule == self.rules[0] for rule in self.rules):
            coefficients = self.rules[0].coefficients(options, numbers)
        else:
            by_part = zip(self.rules, options.unbind(2), numbers.unbind(2), strict=True)
            coefficients = torch.stack([rule.coefficients(own, number) for rule, own, number in by_part], 2)
        return coefficients.to(self._dtype).unbind(0)

    def tensors(self) -> list[Tensor]:
        """All tensors that change during training."""
        stacks = (self.parameters, self.first, self.second)
        tensors = [value for stack in stacks for value in stack.values()]
        return [*tensors, *self.interventions.tensors(), *self.tracking.tensors()]
