"""Constrained weight norm by projection (Liu et al. 2022, "Omnigrok")."""

import torch
from torch import Tensor

from grokking_pl.errors import require_at_least
from grokking_pl.metrics.gradients import total_norm
from grokking_pl.training.interventions.intervention import Group, Intervention, State, Tensors


class HeldNorm(Intervention):
    """Rescale the weights after every update, to keep their norm at a multiple of the initial norm.

    The norm is that of all weights of the group together.

    Args:
        factor: norm to hold, as a multiple of the initial norm.
        group: parameters whose norm is held.

    Raises:
        UserError: factor is negative.
    """

    def __init__(self, factor: float = 1.0, group: Group = "all") -> None:
        super().__init__(group)
        require_at_least("HeldNorm", "factor", factor, 0)
        self.factor = factor

    def initial_state(self, weights: Tensors, seed: int) -> State:
        """The initial norm."""
        return {"norm": {"initial": total_norm(list(weights.values()))}}

    def change_weights(self, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """Project onto the sphere."""
        norm = total_norm(list(weights.values()))
        scale = self.factor * state["norm"]["initial"] / norm.clamp_min(torch.finfo(norm.dtype).tiny)
        return {name: weight * scale for name, weight in weights.items()}
