"""Interventions: changes of gradients before the optimizer's update, or of weights after it."""

from grokking_pl.training.interventions.decay_to_initial import DecayToInitial
from grokking_pl.training.interventions.frozen_group import FrozenGroup
from grokking_pl.training.interventions.gradient_filter import GradientFilter, GradientWindow
from grokking_pl.training.interventions.gradient_noise import GradientNoise
from grokking_pl.training.interventions.held_norm import HeldNorm
from grokking_pl.training.interventions.intervention import Group, Intervention, State, Tensors
from grokking_pl.training.interventions.orthogonal_gradient import OrthogonalGradient
from grokking_pl.training.interventions.scalar_product import dot, dots

__all__ = [
    "DecayToInitial",
    "FrozenGroup",
    "GradientFilter",
    "GradientNoise",
    "GradientWindow",
    "Group",
    "HeldNorm",
    "Intervention",
    "OrthogonalGradient",
    "State",
    "Tensors",
    "dot",
    "dots",
]
