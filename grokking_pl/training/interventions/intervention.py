"""The base class of interventions, which a Trainer applies as a callback."""

from collections.abc import Mapping
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.errors import UserError

Group = Literal["all", "embeddings", "decoder"]
Tensors = dict[str, Tensor]
"""Weights or gradients of one network, by parameter name."""
State = dict[str, Tensors]
"""State of an intervention, by entry, then by parameter name."""


class Intervention(pl.Callback):
    """Change a network's gradients before the optimizer's update, or its weights after it.

    Subclasses override `change_gradients`, `change_weights` or both, and `initial_state` if they have state. These
    methods are functions of one network's tensors and return new ones; only the state is changed in place. A float
    option can also be a scalar tensor, so compute with it and do not branch on it.

    Gradients are changed once per update, before clipping. Weights are changed before any other callback sees them. The
    state is saved in checkpoints.

    Args:
        group: parameters to act on: embeddings, decoder or all.

    Raises:
        UserError: the subclass overrides neither `change_gradients` nor `change_weights`.
    """

    def __init__(self, group: Group = "all") -> None:
        super().__init__()
        if not (changes_gradients(self) or changes_weights(self)):
            raise UserError(
                f"{type(self).__name__} overrides neither change_gradients nor change_weights, so it changes nothing: "
                "check their spelling, or derive it from lightning's Callback"
            )
        self.group = group
        self._state: State | None = None
        self._changed_at = 0

    # To be overridden.

    def initial_state(self, weights: Tensors, seed: int) -> State:
        """The state before the first update.

        Args:
            weights: initial weights.
            seed: seed of the run, for random interventions.
        """
        return {}

    def change_gradients(self, gradients: Tensors, weights: Tensors, state: State, step: Int[Tensor, ""]) -> Tensors:
        """The gradients to pass to the optimizer instead.

        Args:
            gradients: computed gradients, by parameter name.
            weights: weights before the update.
            state: state of the intervention; changed in place.
            step: number of the update, from 1.
        """
        return gradients

    def change_weights(self, weights: Tensors, state: State, step: Int[Tensor, ""]) -> Tensors:
        """The weights to give to the network instead.

        Args:
            weights: weights after the update, by parameter name.
            state: state of the intervention; changed in place.
            step: number of the update, from 1.
        """
        return weights

    # Lightning's hooks.

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Move before all observing callbacks, so that they see the changed weights."""
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        trainer.callbacks = sorted(  # type: ignore[attr-defined]
            callbacks, key=lambda callback: not isinstance(callback, Intervention)
        )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the group and the precision, before anything is written.

        Raises:
            UserError: the group has no parameters, or gradients are scaled.
        """
        parameters_of(pl_module, self.group, type(self).__name__)
        if trainer.precision == "16-mixed" and changes_gradients(self):
            raise UserError(
                f"{type(self).__name__} changes gradients, which in trainer.precision 16-mixed are scaled and may "
                "overflow: choose bf16-mixed or 32-true"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Initialise the state, unless it was restored from a checkpoint."""
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
        """Change the weights, once per update (accumulated batches share one)."""
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
        """The state of the intervention."""
        return {"state": self._state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self._state = state_dict["state"]


def changes_gradients(intervention: Intervention) -> bool:
    """Whether an intervention changes gradients."""
    return type(intervention).change_gradients is not Intervention.change_gradients


def changes_weights(intervention: Intervention) -> bool:
    """Whether an intervention changes weights."""
    return type(intervention).change_weights is not Intervention.change_weights


def parameters_of(module: Any, group: Group, who: str) -> dict[str, torch.nn.Parameter]:
    """The trainable parameters of a module's group, by name.

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
    """Raise a `UserError` if an intervention has changed names or shapes, or returned no tensors."""
    if not isinstance(after, Mapping):
        raise UserError(
            f"{type(intervention).__name__} returns {type(after).__name__}: return a dictionary with a tensor of the "
            "same shape for each tensor given"
        )
    for name in sorted(before.keys() | after.keys()):
        shapes = [tuple(tensors[name].shape) if name in tensors else "absent" for tensors in (before, after)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"{type(intervention).__name__} changes {name} from shape {shapes[0]} to {shapes[1]}: return "
                "a tensor of the same shape for each tensor given"
            )


def map_state(state: State, change: Any) -> State:
    """Apply a function to every tensor of the state."""
    return {what: {name: change(value) for name, value in tensors.items()} for what, tensors in state.items()}


def _next_step(trainer: pl.Trainer) -> Tensor:
    return torch.tensor(trainer.global_step + 1)
