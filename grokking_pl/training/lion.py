"""Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, program 1), and sign descent.

With gradient g, momentum m, learning rate eta and weight decay w:

    θ <- θ (1 - η w) - η sign(β1 m + (1 - β1) g)
    m <- β2 m + (1 - β2) g
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


class Lion(torch.optim.Optimizer):
    """Lion: updates by the sign of the momentum; with betas of 0, by the sign of the gradient (sign descent).

    Args:
        params: parameters or parameter groups.
        lr: learning rate, the size of every update; typically a tenth of AdamW's.
        betas: decay rates of the momentum, in the update and between steps.
        weight_decay: decoupled weight decay; typically ten times AdamW's.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value}; it must be a number of at least 0")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {tuple(betas)}; each must be at least 0 and less than 1")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform one update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, (beta1, beta2) = group["lr"], group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if "exp_avg" not in self.state[weight]:
                    self.state[weight]["exp_avg"] = torch.zeros_like(weight)
                momentum = self.state[weight]["exp_avg"]
                direction = momentum.lerp(weight.grad, 1 - beta1).sign_()
                weight.mul_(1 - lr * group["weight_decay"]).sub_(direction, alpha=lr)
                momentum.lerp_(weight.grad, 1 - beta2)
        return loss
