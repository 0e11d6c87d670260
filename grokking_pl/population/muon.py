"""Muon for the matrices of many networks at once, as in ``torch.optim.Muon``.

For each network, with gradient g, weight decay w, momentum μ, and the quintic Newton-Schulz iteration for the nearest
orthogonal matrix, in 16 bits as there:

    m <- μ m + (1 - μ) g
    u <- orthogonal((1 - μ) g + μ m) with Nesterov's momentum, otherwise orthogonal(m)
    θ <- θ (1 - η w) - η r u, where r depends on the matrix's shape
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.population.update_rule import UpdateRule, columns


class MuonRule(UpdateRule):
    """Muon; networks with different iterations, momentum types or factors r have different rules.

    Args:
        nesterov: whether the momentum is Nesterov's.
        iteration: three coefficients of the iteration.
        iterations: number of iterations.
        eps: least norm used as a divisor.
        adjust_lr_fn: how r depends on the shape.
    """

    def __init__(
        self, nesterov: bool, iteration: tuple[float, ...], iterations: int, eps: float, adjust_lr_fn: str | None
    ) -> None:
        self.nesterov = nesterov
        self.iteration = iteration
        self.iterations = iterations
        self.eps = eps
        self.adjust_lr_fn = adjust_lr_fn

    @classmethod
    def of(cls, kind: type, options: dict[str, Any]) -> tuple["MuonRule", tuple[float, ...]]:
        """The rule of ``torch.optim.Muon``, and the options as a row."""
        rule = cls(
            bool(options["nesterov"]),
            tuple(options["ns_coefficients"]),
            options["ns_steps"],
            options["eps"],
            options["adjust_lr_fn"],
        )
        return rule, (options["lr"], options["weight_decay"], options["momentum"], 0.0, 0.0, 0.0)

    def coefficients(
        self, options: Float[Tensor, "*places 6"], step: Float[Tensor, " *places"]
    ) -> Float[Tensor, "*places 7"]:
        """1 - η w, η, μ and 1 - μ."""
        lr, weight_decay, momentum, *_ = options.unbind(-1)
        used = torch.stack([1 - lr * weight_decay, lr, momentum, 1 - momentum], -1)
        return torch.cat([used, used.new_zeros(*used.shape[:-1], 3)], -1)

    def step(
        self,
        parameter: Float[Tensor, "members rows columns"],
        gradient: Float[Tensor, "members rows columns"],
        first: Float[Tensor, "members rows columns"],
        second: Float[Tensor, "members rows columns"] | None,
        coefficients: Float[Tensor, "members 7"],
    ) -> None:
        """Perform one update."""
        decay, lr, keep, gain, *_ = columns(coefficients, parameter)
        momentum = first + gain * (gradient - first)
        direction = gradient + keep * (momentum - gradient) if self.nesterov else momentum
        update = self._orthogonal(direction)
        parameter.copy_(decay * parameter - lr * self._factor(*parameter.shape[1:]) * update)
        first.copy_(momentum)

    def _orthogonal(self, matrices: Float[Tensor, "members rows columns"]) -> Float[Tensor, "members rows columns"]:
        a, b, c = self.iteration
        is_tall = matrices.shape[1] > matrices.shape[2]
        x = matrices.bfloat16()
        x = x.mT if is_tall else x
        x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=self.eps)
        for _ in range(self.iterations):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return (x.mT if is_tall else x).to(matrices.dtype)

    def _factor(self, rows: int, columns: int) -> float:
        """The factor r for a matrix shape."""
        factors = {
            None: math.sqrt(max(1, rows / columns)),
            "original": math.sqrt(max(1, rows / columns)),
            "match_rms_adamw": 0.2 * math.sqrt(max(rows, columns)),
            "spectral_unclamped": math.sqrt(rows / columns),
        }
        return factors[self.adjust_lr_fn]
