"""Gradients without the component that only rescales the weights (Prieto et al. 2025)."""

import torch
from torch import Tensor

from grokking_pl.training.interventions.intervention import Intervention, State, Tensors
from grokking_pl.training.interventions.scalar_product import dots


class OrthogonalGradient(Intervention):
    """Project the gradient of each tensor orthogonally to its weights, and restore its norm.

    Along the weights, cross entropy can decrease for ever without anything being learned. "⊥Grad" of Prieto et al.
    (2025).

    Args:
        group: parameters whose gradients are projected.
    """

    def change_gradients(self, gradients: Tensors, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """Project and rescale; a gradient along the weights alone becomes zero."""
        pairs = [(gradient, weights[name]) for name, gradient in gradients.items()]
        products = dots([pair for g, w in pairs for pair in ((g, w), (w, w), (g, g))])
        along, of_weights, of_gradients = products.view(-1, 3).unbind(1)
        tiny = torch.finfo(products.dtype).tiny
        shares = along / of_weights.clamp_min(tiny)
        of_orthogonal = of_gradients - shares * along
        # Less than this is rounding.
        scales = torch.where(of_orthogonal > 1e-12 * of_gradients, of_gradients / of_orthogonal, 0.0).sqrt()
        return {
            name: ((g - (share * w).to(g.dtype)) * scale).to(g.dtype)
            for name, (g, w), share, scale in zip(gradients, pairs, shares.unbind(), scales.unbind(), strict=True)
        }
