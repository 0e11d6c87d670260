"""Stochastic gradient descent with momentum for many networks at once, as in ``torch.optim.SGD``.

For each network, with gradient g, weight decay w, momentum μ and dampening τ:

    g <- ± g + w θ                        (minus where the loss is maximised)
    m <- g at the first update, then μ m + (1 - τ) g
    θ <- θ - η g without momentum, θ - η m with it, and θ - η (g + μ m) with Nesterov's
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.population.update_rule import UpdateRule, columns


class SGDRule(UpdateRule):
    """SGD; networks with and without momentum differ only in coefficients."""

    @classmethod
    def of(cls, kind: type, options: dict[str, Any]) -> tuple["SGDRule", tuple[float, ...]]:
        """The rule of ``torch.optim.SGD``, and the options as a row."""
        names = ("lr", "weight_decay", "momentum", "dampening", "nesterov", "maximize")
        return cls(), tuple(float(options[name]) for name in names)

    def coefficients(
        self, options: Float[Tensor, "*places 6"], step: Float[Tensor, " *places"]
    ) -> Float[Tensor, "*places 7"]:
        """The sign of the gradient, w, μ, the gain of m, the gains of g and m in the update, and η."""
        lr, weight_decay, momentum, dampening, nesterov, maximize = options.unbind(-1)
        gain = torch.where(step == 1, 1.0, 1 - dampening)
        plain = momentum == 0
        of_gradient = torch.where(plain, 1.0, nesterov)
        of_momentum = torch.where(plain, 0.0, torch.where(nesterov == 1, momentum, 1.0))
        return torch.stack(
            [1 - 2 * maximize, weight_decay, momentum, gain, of_gradient, of_momentum, lr.expand_as(gain)], -1
        )

    def step(
        self,
        parameter: Float[Tensor, "members ..."],
        gradient: Float[Tensor, "members ..."],
        first: Float[Tensor, "members ..."],
        second: Float[Tensor, "members ..."] | None,
        coefficients: Float[Tensor, "members 7"],
    ) -> None:
        """Perform one update."""
        sign, decay, keep, gain, of_gradient, of_momentum, lr = columns(coefficients, parameter)
        gradient = sign * gradient + decay * parameter
        momentum = keep * first + gain * gradient
        parameter.sub_(lr * (of_gradient * gradient + of_momentum * momentum))
        first.copy_(momentum)
