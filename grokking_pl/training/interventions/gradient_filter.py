"""Low-pass filters that amplify slow gradients (Lee et al. 2024, "Grokfast")."""

import torch
from torch import Tensor

from grokking_pl.errors import require_at_least
from grokking_pl.training.interventions.exchange import exchange
from grokking_pl.training.interventions.intervention import Group, Intervention, State, Tensors


class GradientFilter(Intervention):
    """Add an amplified moving average of the gradients: g' = g + lamb m, m <- alpha m + (1 - alpha) g.

    At the first update m is g itself. "Grokfast-EMA" of Lee et al. (2024).

    Args:
        alpha: momentum of the average.
        lamb: amplification factor.
        group: parameters whose gradients are filtered.

    Raises:
        UserError: alpha is not in [0, 1), or lamb is negative.
    """

    def __init__(self, alpha: float = 0.98, lamb: float = 2.0, group: Group = "all") -> None:
        super().__init__(group)
        require_at_least("GradientFilter", "alpha", alpha, 0, below=1)
        require_at_least("GradientFilter", "lamb", lamb, 0)
        self.alpha = alpha
        self.lamb = lamb

    def initial_state(self, weights: Tensors, seed: int) -> State:
        """The moving averages."""
        return {"mean": {name: torch.zeros_like(weight) for name, weight in weights.items()}}

    def change_gradients(self, gradients: Tensors, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """Add the average."""
        changed = {}
        for name, gradient in gradients.items():
            mean = state["mean"][name]
            mean.copy_(torch.where(step == 1, gradient, self.alpha * mean + (1 - self.alpha) * gradient))
            changed[name] = gradient + self.lamb * mean
        return changed


class GradientWindow(Intervention):
    """Add the amplified mean of recent gradients: g' = g + lamb mean(g of the last ``window`` updates).

    The first updates, with fewer gradients, are unchanged. "Grokfast-MA" of Lee et al. (2024). Keeps ``window``
    gradients in memory.

    Args:
        window: number of gradients to average.
        lamb: amplification factor.
        group: parameters whose gradients are filtered.

    Raises:
        UserError: window is not positive, or lamb is negative.
    """

    def __init__(self, window: int = 100, lamb: float = 5.0, group: Group = "all") -> None:
        super().__init__(group)
        require_at_least("GradientWindow", "window", window, 1)
        require_at_least("GradientWindow", "lamb", lamb, 0)
        self.window = window
        self.lamb = lamb

    def initial_state(self, weights: Tensors, seed: int) -> State:
        """The last gradients, as a ring buffer, and their sums."""
        return {
            "last": {name: weight.new_zeros(self.window, weight.numel()) for name, weight in weights.items()},
            # In double precision, so that the rounding of large gradients does not outlive them.
            "sum": {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()},
        }

    def change_gradients(self, gradients: Tensors, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """Add the mean, once there are enough gradients."""
        changed = {}
        for name, gradient in gradients.items():
            last, total = state["last"][name], state["sum"][name]
            oldest = exchange(last, gradient.flatten(), (step - 1) % self.window)
            total.add_(gradient.double() - oldest.view_as(gradient))
            factor = torch.where(step >= self.window, self.lamb / self.window, 0.0)
            changed[name] = gradient + factor * total.to(gradient.dtype)
        return changed
