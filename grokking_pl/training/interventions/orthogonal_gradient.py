"""Gradients without the part that only scales the weights (Prieto et al. 2025)."""

import torch
from torch import Tensor

from grokking_pl.training.interventions.intervention import Intervention, State, Tensors
from grokking_pl.training.interventions.scalar_product import dot


class OrthogonalGradient(Intervention):
    """Makes the gradient of each tensor orthogonal to its weights, and gives it its former norm.

    Along the weights, cross entropy can fall for ever without anything being learned. The "⊥Grad" of Prieto et al.
    (2025).

    Args:
        group: parameters whose gradients are changed.
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
