"""The contract of an intervention, and how a Trainer applies it: as a callback."""

from collections.abc import Mapping
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.errors import UserError

Group = Literal["all", "embeddings", "decoder"]
Tensors = dict[str, Tensor]
"""Weights or gradients of one network, by the names of its parameters."""
State = dict[str, Tensors]
"""What an intervention remembers, by what it is, then by the names of parameters."""


class Intervention(pl.Callback):
    """Changes the gradients of one network before the optimizer's update, or its weights after it.

    A subclass overrides `change_gradients`, `change_weights` or both, and `initial_state` if it remembers something.
    These are functions of one network's tensors that return new ones; only the state is changed in place. An option
    that is a float can also be a tensor of one number: so an intervention must compute with it and not branch on it.

    Gradients are changed once per update, before they are clipped. Weights are changed before any other callback sees
    them. The state is kept in checkpoints.

    Args:
        group: parameters that it acts on: the embeddings, the decoder or all.
    """

    def __init__(self, group: Group = "all") -> None:
        super().__init__()
        self.group = group
        self._state: State | None = None
        self._changed_at = 0

    # What a subclass may say.

    def initial_state(self, weights: Tensors, seed: int) -> State:
        """What is remembered before the first update.

        Args:
            weights: the initial ones.
            seed: of the run, for what is random.
        """
        return {}

    def change_gradients(self, gradients: Tensors, weights: Tensors, state: State, step: Int[Tensor, ""]) -> Tensors:
        """The gradients that the optimizer gets instead.

        Args:
            gradients: as computed, by the parameters' names.
            weights: before the update.
            state: what is remembered; changed in place.
            step: number of the update, from 1.
        """
        return gradients

    def change_weights(self, weights: Tensors, state: State, step: Int[Tensor, ""]) -> Tensors:
        """The weights that the network gets instead.

        Args:
            weights: after the update, by the parameters' names.
            state: what is remembered; changed in place.
            step: number of the update, from 1.
        """
        return weights

    # What Lightning calls.

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Come before all callbacks that only watch, so that they see the weights that training goes on with."""
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        trainer.callbacks = sorted(  # type: ignore[attr-defined]
            callbacks, key=lambda callback: not isinstance(callback, Intervention)
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the state, unless a checkpoint brought it.

        Raises:
            UserError: the group has no parameters.
        """
        self._parameters = parameters_of(pl_module, self.group, type(self).__name__)
        self._changed_at = trainer.global_step
        if self._state is None:
            weights = {name: parameter.detach() for name, parameter in self._parameters.items()}
            self._state = self.initial_state(weights, getattr(pl_module, "run_seed", 0))
        self._state = map_state(self._state, lambda value: value.to(pl_module.device))

    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Change the gradients."""
        if not changes_gradients(self) or self._state is None:
            return
        gradients = {name: value.grad for name, value in self._parameters.items() if value.grad is not None}
        weights = {name: self._parameters[name].detach() for name in gradients}
        changed = self.change_gradients(gradients, weights, self._state, _next_step(trainer))
        check_shapes(self, gradients, changed)
        for name, gradient in changed.items():
            self._parameters[name].grad = gradient

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Change the weights, once per update: batches whose gradients are accumulated share one."""
        step = trainer.global_step
        if not changes_weights(self) or self._state is None or step == self._changed_at:
            return
        self._changed_at = step
        weights = {name: parameter.detach() for name, parameter in self._parameters.items()}
        changed = self.change_weights(weights, self._state, torch.tensor(step))
        check_shapes(self, weights, changed)
        for name, weight in changed.items():
            self._parameters[name].copy_(weight)

    def state_dict(self) -> dict[str, Any]:
        """What is remembered."""
        return {"state": self._state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._state = state_dict["state"]


def changes_gradients(intervention: Intervention) -> bool:
    """Whether an intervention changes gradients."""
    return type(intervention).change_gradients is not Intervention.change_gradients


def changes_weights(intervention: Intervention) -> bool:
    """Whether an intervention changes weights."""
    return type(intervention).change_weights is not Intervention.change_weights


def parameters_of(module: Any, group: Group, who: str) -> dict[str, torch.nn.Parameter]:
    """The trained parameters of a group of a module, by name.

    Raises:
        UserError: there are none.
    """
    named = {name: value for name, value in module.named_parameters() if value.requires_grad}
    if group != "all":
        if not hasattr(module, "parameter_groups"):
            raise UserError(f"{who}: {type(module).__name__} has no groups of parameters: give group: all")
        members = {id(parameter) for parameter in module.parameter_groups()[group]}
        named = {name: value for name, value in named.items() if id(value) in members}
    if not named:
        raise UserError(f"{who}: the group {group} has no parameters: give another")
    return named


def check_shapes(intervention: Intervention, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """Raise a `UserError` unless an intervention has left names and shapes as they were."""
    for name in sorted(before.keys() | after.keys()):
        shapes = [tuple(tensors[name].shape) if name in tensors else "absent" for tensors in (before, after)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"{type(intervention).__name__} makes {name}, of shape {shapes[0]}, one of shape {shapes[1]}: return "
                "a tensor of the same shape for each that is given"
            )


def map_state(state: State, change: Any) -> State:
    """The state with every tensor changed."""
    return {what: {name: change(value) for name, value in tensors.items()} for what, tensors in state.items()}


def total_norm(tensors: Mapping[str, Tensor]) -> Tensor:
    """The Euclidean norm of all numbers in some tensors."""
    return torch.stack([value.square().sum() for value in tensors.values()]).sum().sqrt()


def _next_step(trainer: pl.Trainer) -> Tensor:
    return torch.tensor(trainer.global_step + 1)
