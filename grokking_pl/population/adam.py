"""Adam for many networks at once, each with its own learning rate, weight decay, decay of the moments and epsilon.

For each network, with gradient g, weight decay w and update number t (from 1), as in ``torch.optim.Adam``:

    decoupled: θ <- θ (1 - η w)          otherwise: g <- g + w θ
    m <- β1 m + (1 - β1) g               v <- β2 v + (1 - β2) g²
    θ <- θ - η / (1 - β1^t) · m / (√v / √(1 - β2^t) + ε)

What depends on t alone is computed many steps ahead, in double precision: inside a step's graph a compiler would
recompute the powers for every weight.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.population.update_rule import UpdateRule, refuse_options
from grokking_pl.training import GroupOptions


class AdamRule(UpdateRule):
    """Adam and AdamW, which is Adam with decoupled weight decay."""

    moments = 2

    @classmethod
    def of(cls, kind: type, options: dict[str, Any]) -> tuple["AdamRule", tuple[float, ...]]:
        """The rule of ``torch.optim.Adam`` or ``AdamW``, and the options as a row (see `as_row`)."""
        refuse_options(kind, options, "amsgrad", "maximize")
        return cls(), as_row(GroupOptions(*(options[name] for name in OPTIONS)))

    def coefficients(
        self, options: Float[Tensor, "*places 6"], step: Float[Tensor, " *places"]
    ) -> Float[Tensor, "*places 7"]:
        """See `adam_coefficients`."""
        return adam_coefficients(options, step)

    def step(
        self,
        parameter: Float[Tensor, "members ..."],
        gradient: Float[Tensor, "members ..."],
        first: Float[Tensor, "members ..."],
        second: Float[Tensor, "members ..."] | None,
        coefficients: Float[Tensor, "members 7"],
    ) -> None:
        """See `adam_step`."""
        assert second is not None
        adam_step(parameter, gradient, first, second, coefficients)


OPTIONS = ("lr", "weight_decay", "decoupled_weight_decay", "betas", "eps")


def as_row(options: GroupOptions) -> tuple[float, ...]:
    """The options of one network as numbers.

    They are the learning rate, the decoupled weight decay, the weight decay through the gradient, β1, β2 and ε.
    """
    decay = (options.weight_decay, 0.0) if options.decoupled else (0.0, options.weight_decay)
    return (options.lr, *decay, *options.betas, options.eps)


def adam_coefficients(
    options: Float[Tensor, "members *groups 6"], step: Float[Tensor, " members *groups"]
) -> Float[Tensor, "members *groups 7"]:
    """The coefficients of `adam_step` for update number ``step`` (from 1), in double precision.

    They are 1 - η w (decoupled), w (through the gradient), 1 - β1, β2, 1 - β2, √(1 - β2^t) η / (1 - β1^t) and
    √(1 - β2^t) ε: both sides of the last fraction are multiplied by √(1 - β2^t).
    """
    lr, weight_decay, l2, beta1, beta2, eps = options.unbind(-1)
    root = (1 - beta2**step).sqrt()
    size = root * lr / (1 - beta1**step)
    columns = [1 - lr * weight_decay, l2, 1 - beta1, beta2, 1 - beta2, size, root * eps]
    return torch.stack([column.expand_as(size) for column in columns], -1)


def adam_step(
    parameter: Float[Tensor, "members ..."],
    gradient: Float[Tensor, "members ..."],
    first: Float[Tensor, "members ..."],
    second: Float[Tensor, "members ..."],
    coefficients: Float[Tensor, "members 7"],
) -> None:
    """Update one parameter of every network, and its two moments, in place.

    Args:
        parameter: stacked parameter.
        gradient: its gradient.
        first: running mean m of the gradient.
        second: running mean v of its square.
        coefficients: rows of `adam_coefficients`.
    """
    # (members, 7) -> 7 times (members, 1, ..., 1)
    decay, l2, gain1, keep2, gain2, size, eps = (
        column.view(-1, *[1] * (parameter.dim() - 1)) for column in coefficients.unbind(1)
    )
    gradient = gradient + l2 * parameter
    mean = first + gain1 * (gradient - first)
    square = keep2 * second + gain2 * gradient * gradient
    parameter.copy_(decay * parameter - size * mean / (square.sqrt() + eps))
    first.copy_(mean)
    second.copy_(square)
