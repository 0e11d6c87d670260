"""Gradients without the component that only rescales the weights (Prieto et al. 2025)."""

import torch
from torch import Tensor

from grokking_pl.training.interventions.intervention import Intervention, State, Tensors
from grokking_pl.training.interventions.scalar_product import dot


class OrthogonalGradient(Intervention):
    """Project the gradient of each tensor orthogonally to its weights, and restore its norm.

    Along the weights, cross entropy can decrease for ever without anything being learned. "⊥Grad" of Prieto et al.
    (2025).

    Args:
        group: parameters whose gradients are projected.
    """

    def change_gradients(self, gradients: Tensors, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """Project and rescale; a gradient along the weights alone becomes zero."""
        changed = {}
        for name, gradient in gradients.items():
            weight = weights[name]
            tiny = torch.finfo(gradient.dtype).tiny
            share = dot(gradient, weight) / dot(weight, weight).clamp_min(tiny)
            orthogonal = gradient - share * weight
            norms = dot(gradient, gradient).sqrt(), dot(orthogonal, orthogonal).sqrt()
            changed[name] = orthogonal * (norms[0] / norms[1].clamp_min(tiny))
        return changed
