"""The two-layer quadratic network of Gromov (2023), and its closed-form weights for addition modulo p."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.models.one_hot_mlp import OneHotMLP
from grokking_pl.sizes import Sizes

Start = Literal["normal", "analytic", "random_phases"]


class GromovMLP(OneHotMLP):
    """Two layers without biases and a square between them: f(a, b) = W2 (W1 x)² / (2 p N), x two one-hot vectors.

    The factor is the paper's, 1 / (D N) with D = 2 p inputs and N hidden units. The initial weights are independent
    standard normal, or the analytic solution of modular addition (`modular_addition_weights`). "random_phases" drops
    the solution's one condition, phi_a + phi_b = phi_c, and serves as the control.

    Args:
        sizes: number of symbols and output dimension, from the data.
        width: number N of hidden units.
        start: initial weights.
        scale: factor on all initial weights.

    Raises:
        UserError: the width or the scale is not positive, the data have no symbols, or analytic weights are requested
            but the number of outputs differs from that of symbols.

    Source: A. Gromov, Grokking modular arithmetic, arXiv 2301.02679.
    """

    def __init__(self, sizes: Sizes, width: int = 500, start: Start = "normal", scale: float = 1.0) -> None:
        super().__init__(sizes, depth=2, width=width, activation="quadratic", bias=False)
        if start not in ("normal", "analytic", "random_phases"):
            raise UserError(f"start is {start!r}; it must be normal, analytic or random_phases")
        if not 0 < scale < math.inf:
            raise UserError(f"scale is {scale}; it must be a positive number")
        if start != "normal" and sizes.outputs != sizes.symbols:
            raise UserError(
                f"start is {start}, which needs one output for each of the {sizes.symbols} symbols, but the data have "
                f"{sizes.outputs} outputs: choose modular_addition with targets one_hot or class"
            )
        p = sizes.symbols
        if start == "normal":
            weights = torch.randn(width, 2 * p), torch.randn(sizes.outputs, width)
        else:
            weights = modular_addition_weights(p, width, start == "random_phases")
        with torch.no_grad():
            for layer, weight in zip((self.layers[0], self.layers[2]), weights, strict=True):
                layer.weight.copy_(scale * weight)  # type: ignore[operator]
        self.factor = 1 / (2 * p * width)

    def forward(self, pairs: Int[Tensor, "batch operands"]) -> Float[Tensor, "batch outputs"]:
        """Map pairs of symbols to outputs."""
        return super().forward(pairs) * self.factor


def modular_addition_weights(
    p: int, width: int, random_phases: bool = False
) -> tuple[Float[Tensor, "width inputs"], Float[Tensor, "p width"]]:
    """Closed-form weights of both layers with which the quadratic network adds modulo p.

    Drawn from Torch's generator. Hidden unit k has one frequency, k modulo p, and three phases: phi_a and phi_b are
    uniform, phi_c is their sum:

        W1[k, a] = cos(2 pi k a / p + phi_a[k]),   W1[k, p + b] = cos(2 pi k b / p + phi_b[k]),
        W2[c, k] = cos(2 pi k c / p + phi_c[k]).

    In W2 (W1 x)² the terms whose phases cancel sum to cos(2 pi k (a + b - c) / p) / 2 over the frequencies, which is
    N/2 where c = a + b modulo p and about 0 elsewhere. All others have random phases and sum to noise of order sqrt(N),
    so a width of a few times p suffices.

    Args:
        p: number of symbols.
        width: number N of hidden units.
        random_phases: draw phi_c at random too, which destroys the solution.

    Source: A. Gromov, Grokking modular arithmetic, arXiv 2301.02679.
    """
    frequency = 2 * math.pi / p * torch.arange(1, width + 1, dtype=torch.float64).remainder(p)
    phi_a, phi_b, phi_c = 2 * math.pi * torch.rand(3, width, dtype=torch.float64)
    if not random_phases:
        phi_c = phi_a + phi_b
    angles = frequency[:, None] * torch.arange(p)
    first = torch.cat([torch.cos(angles + phi[:, None]) for phi in (phi_a, phi_b)], 1)
    return first.float(), torch.cos(angles + phi_c[:, None]).T.float()
