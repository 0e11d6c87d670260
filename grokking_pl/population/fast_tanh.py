"""A hyperbolic tangent that compiled steps on a CPU use in place of ``tanh``."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def use_fast_tanh(module: nn.Module) -> None:
    """Replace every ``nn.Tanh`` in a module by `FastTanh`."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Tanh):
                setattr(parent, name, FastTanh())


class FastTanh(nn.Module):
    """The hyperbolic tangent to a few roundings, compiled in less time than ``tanh``, which it is when not compiled.

    2 σ(2x) - 1 is fast but loses the digits of small x, which decide what becomes of networks that weight decay has
    made small. There a polynomial takes its place: that of Moshier's Cephes library for single precision, |x| < 0.625.
    """

    def forward(self, inputs: Float[Tensor, "*batch units"]) -> Float[Tensor, "*batch units"]:
        """The hyperbolic tangent, whose gradient is that of 2 σ(2x) - 1."""
        if not torch.compiler.is_compiling():
            return torch.tanh(inputs)
        fast = 2 * torch.sigmoid(2 * inputs) - 1
        x = inputs.detach()
        z = x * x
        near = 2.06390887954e-2 - 5.70498872745e-3 * z
        near = ((near * z - 5.37397155531e-2) * z + 1.33314422036e-1) * z - 3.33332819422e-1
        exact = torch.where(z < 0.625**2, near * z * x + x, fast.detach())
        return fast + (exact - fast.detach())
