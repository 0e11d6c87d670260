"""Gaussian noise on the gradients, reproducible on every device and in batches of runs."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.errors import require_at_least
from grokking_pl.training.interventions.intervention import Group, Intervention, State, Tensors


class GradientNoise(Intervention):
    """Add independent normal noise to the gradients, determined by the run's seed, the step and the parameter.

    Args:
        strength: standard deviation of the noise.
        group: parameters whose gradients get noise.

    Raises:
        UserError: strength is negative.
    """

    def __init__(self, strength: float = 1e-3, group: Group = "all") -> None:
        super().__init__(group)
        require_at_least("GradientNoise", "strength", strength, 0)
        self.strength = strength

    def initial_state(self, weights: Tensors, seed: int) -> State:
        """The seed."""
        return {"seed": {"run": torch.tensor(seed)}}

    def change_gradients(self, gradients: Tensors, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """Add the noise."""
        key = mixed(mixed(state["seed"]["run"]) + step)
        return {
            name: gradient + self.strength * normal_numbers(mixed(key + number), gradient)
            for number, (name, gradient) in enumerate(sorted(gradients.items()))
        }


def normal_numbers(key: Int[Tensor, ""], like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Normal numbers with the shape and dtype of ``like``, determined by the key (Box and Muller 1958).

    Half of a 64-bit number makes a radius and the other half an angle, which are two normal numbers.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    bits = mixed(key + torch.arange((like.numel() + 1) // 2, device=like.device))
    uniform, turns = (((bits >> shift & 2**32 - 1).to(dtype) + 0.5) * 2.0**-32 for shift in (32, 0))
    radius, angle = (-2 * uniform.log()).sqrt(), 2 * math.pi * turns
    numbers = torch.cat([radius * angle.cos(), radius * angle.sin()])[: like.numel()]
    return numbers.to(like.dtype).view_as(like)


def mixed(key: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """A 64-bit number in which every bit depends on all bits of the key (splitmix64, Steele et al. 2014)."""
    key = key + -0x61C8864680B583EB
    key = (key ^ (key >> 30 & 2**34 - 1)) * -0x40A7B892E31B1A47
    key = (key ^ (key >> 27 & 2**37 - 1)) * -0x6B2FB644ECCEEE15
    return key ^ (key >> 31 & 2**33 - 1)
