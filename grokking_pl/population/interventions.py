"""Interventions for many networks at once, each with its own settings and state."""

import copy
import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.func import vmap

from grokking_pl.training import GrokkingModule
from grokking_pl.training.interventions import Intervention, State, Tensors
from grokking_pl.training.interventions.intervention import (
    changes_gradients,
    changes_weights,
    check_shapes,
    parameters_of,
)

Stack = dict[str, Tensor]


class StackedInterventions:
    """The interventions of a batch's members: the same classes for each, in the same order.

    Args:
        interventions: interventions of any member.
        module: module of that member.
        places: number of places.
        device: device to train on.

    Raises:
        UserError: an intervention acts on a group without parameters, or changes shapes.
    """

    def __init__(
        self, interventions: Sequence[Intervention], module: GrokkingModule, places: int, device: torch.device
    ) -> None:
        # About operations that torch performs member by member; they are few.
        warnings.filterwarnings("ignore", message="There is a performance drop")
        self._kinds = [copy.copy(intervention) for intervention in interventions]
        self._names = [list(parameters_of(module, one.group, type(one).__name__)) for one in interventions]
        weights = {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}
        self._states: list[dict[str, Stack]] = []
        self._settings: list[Stack] = []
        for intervention, names in zip(interventions, self._names, strict=True):
            own = {name: weights[name] for name in names}
            state = intervention.initial_state(own, 0)
            _try_out(intervention, own, state)
            self._states.append({
                what: {name: value.new_zeros(places, *value.shape).to(device) for name, value in tensors.items()}
                for what, tensors in state.items()
            })  # fmt: skip
            self._settings.append({
                name: torch.zeros(places, dtype=torch.float64, device=device) for name in float_options(intervention)
            })  # fmt: skip

    def put(
        self,
        place: int,
        interventions: Sequence[Intervention],
        weights: Tensors,
        seed: int,
        saved: list[dict[str, Stack]] | None,
    ) -> None:
        """Set a place to its new member's settings and state: the ``saved`` or the initial one."""
        for number, intervention in enumerate(interventions):
            for name, values in self._settings[number].items():
                values[place] = getattr(intervention, name)
            if saved is None:
                state = intervention.initial_state({name: weights[name] for name in self._names[number]}, seed)
            else:
                state = saved[number]
            for what, tensors in self._states[number].items():
                for name, stack in tensors.items():
                    stack[place] = state[what][name].to(stack)

    def saved(self, place: int) -> list[dict[str, Stack]]:
        """The states of the member at a place."""
        return [
            {what: {name: stack[place].cpu().clone() for name, stack in tensors.items()} for what, tensors in s.items()}
            for s in self._states
        ]

    def tensors(self) -> list[Tensor]:
        """All tensors that change during training."""
        return [stack for state in self._states for tensors in state.values() for stack in tensors.values()]

    def change_gradients(self, gradients: Stack, weights: Stack, step: Int[Tensor, " places"]) -> Stack:
        """The gradients of all members after all interventions; states change in place."""
        for kind, names, settings, states in self._all():
            if changes_gradients(kind):

                def change(
                    gradients: Tensors, weights: Tensors, state: State, step: Tensor, own: Tensors, kind: Any = kind
                ) -> Tensors:
                    return _with_settings(kind, own).change_gradients(gradients, weights, state, step)

                own_gradients, own_weights = ({name: stack[name] for name in names} for stack in (gradients, weights))
                gradients = gradients | vmap(change)(own_gradients, own_weights, states, step, settings)
        return gradients

    def change_weights(self, weights: Stack, step: Int[Tensor, " places"]) -> None:
        """Change the weights of all members, and the states, in place."""
        for kind, names, settings, states in self._all():
            if changes_weights(kind):

                def change(weights: Tensors, state: State, step: Tensor, own: Tensors, kind: Any = kind) -> Tensors:
                    return _with_settings(kind, own).change_weights(weights, state, step)

                for name, value in vmap(change)(
                    {name: weights[name] for name in names}, states, step, settings
                ).items():
                    weights[name].copy_(value)

    def _all(self) -> Any:
        return zip(self._kinds, self._names, self._settings, self._states, strict=True)


def float_options(intervention: Intervention) -> list[str]:
    """The float options of an intervention, which may differ between members of a batch."""
    parameters = inspect.signature(type(intervention)).parameters
    return [
        name
        for name in parameters
        if isinstance(getattr(intervention, name, None), int | float)
        and parameters[name].annotation in (float, "float")
    ]


def kind_of_intervention(intervention: Intervention) -> str:
    """The common part of a batch's interventions: the class and the non-float options."""
    of_members = float_options(intervention)
    names = [name for name in inspect.signature(type(intervention)).parameters if name not in of_members]
    options = ", ".join(f"{name}={getattr(intervention, name, None)!r}" for name in names)
    return f"{type(intervention).__module__}.{type(intervention).__qualname__}({options})"


def _with_settings(intervention: Intervention, settings: Tensors) -> Intervention:
    """The intervention with one member's settings, as scalar tensors."""
    own = copy.copy(intervention)
    for name, value in settings.items():
        setattr(own, name, value)
    return own


def _try_out(intervention: Intervention, weights: Tensors, state: State) -> None:
    """Raise a `UserError` if an intervention changes shapes."""
    copies = [{name: value.clone() for name, value in weights.items()} for _ in range(2)]
    own = {what: {name: value.clone() for name, value in tensors.items()} for what, tensors in state.items()}
    one = torch.tensor(1)
    check_shapes(intervention, weights, intervention.change_gradients(copies[0], copies[1], own, one))
    check_shapes(intervention, weights, intervention.change_weights(copies[0], own, one))
