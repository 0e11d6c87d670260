"""Lion and sign descent for many networks at once, as in `grokking_pl.training.Lion`."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.population.update_rule import UpdateRule, columns


class LionRule(UpdateRule):
    """Lion; with betas of 0, sign descent."""

    @classmethod
    def of(cls, kind: type, options: dict[str, Any]) -> tuple["LionRule", tuple[float, ...]]:
        """The rule of `grokking_pl.training.Lion`, and the options as a row."""
        return cls(), (options["lr"], options["weight_decay"], *options["betas"], 0.0, 0.0)

    def coefficients(
        self, options: Float[Tensor, "*places 6"], step: Float[Tensor, " *places"]
    ) -> Float[Tensor, "*places 7"]:
        """1 - η w, η, 1 - β1 and 1 - β2."""
        lr, weight_decay, beta1, beta2, _, _ = options.unbind(-1)
        used = torch.stack([1 - lr * weight_decay, lr, 1 - beta1, 1 - beta2], -1)
        return torch.cat([used, used.new_zeros(*used.shape[:-1], 3)], -1)

    def step(
        self,
        parameter: Float[Tensor, "members ..."],
        gradient: Float[Tensor, "members ..."],
        first: Float[Tensor, "members ..."],
        second: Float[Tensor, "members ..."] | None,
        coefficients: Float[Tensor, "members 7"],
    ) -> None:
        """Perform one update."""
        decay, lr, gain1, gain2, *_ = columns(coefficients, parameter)
        change = gradient - first
        parameter.copy_(decay * parameter - lr * (first + gain1 * change).sign())
        first.add_(gain2 * change)
