"""Weights frozen until a given step."""

import torch
from torch import Tensor

from grokking_pl.errors import require_at_least
from grokking_pl.training.interventions.intervention import Group, Intervention, State, Tensors


class FrozenGroup(Intervention):
    """Keep a group at its initial weights for the first updates.

    Until then the optimizer gets zero gradients, and its weight decay is undone; a decay that is added to the gradients
    (``decoupled: false``) still enters the optimizer's moments.

    Args:
        until_step: number of updates for which the group is frozen.
        group: parameters to freeze.

    Raises:
        UserError: until_step is negative.
    """

    def __init__(self, until_step: int = 1000, group: Group = "embeddings") -> None:
        super().__init__(group)
        require_at_least("FrozenGroup", "until_step", until_step, 0)
        self.until_step = until_step

    def initial_state(self, weights: Tensors, seed: int) -> State:
        """The initial weights."""
        return {"initial": {name: weight.clone() for name, weight in weights.items()}}

    def change_gradients(self, gradients: Tensors, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """Zero gradients while the group is frozen."""
        return {name: torch.where(step <= self.until_step, 0.0, value) for name, value in gradients.items()}

    def change_weights(self, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """The initial weights while the group is frozen."""
        return {
            name: torch.where(step <= self.until_step, state["initial"][name], weight)
            for name, weight in weights.items()
        }
