"""The Fourier spectrum over both operands of a network's neurons or logits for all pairs (a, b).

Notation: f(a, b), one number for each pair of a, b = 0 .. p - 1. In the orthonormal basis of products of 1, cos(2 pi k
a / p), sin(2 pi k a / p) with the same functions of b, the power at (k, l) is that of all products of a function of
frequency k of a and one of frequency l of b; all powers sum to the sum of f^2 (Nanda et al., 2023, section 4.2).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.precision import result_dtype

EXPLAINED = 0.85
"""Fraction of a neuron's variance above which a term explains it (Nanda et al., 2023, section 4.3)."""


class NeuronFrequencies(NamedTuple):
    """The frequency of each neuron, and the fraction of its variance explained by it.

    Attributes:
        frequency: frequency 1 .. floor(p / 2); 0 for a neuron with the same activation for all pairs.
        share: explained fraction, between 0 and 1.
    """

    frequency: Int[Tensor, " neurons"]
    share: Float[Tensor, " neurons"]


def pair_spectrum(values: Float[Tensor, "p p n"]) -> Float[Tensor, "p//2+1 p//2+1 n"]:
    """The power of n functions of a pair at each frequency k of a (rows) and l of b (columns), 0 .. floor(p / 2).

    Two matrix products, 4 p^3 n operations. Cost: 0.08 s on one core for 512 neurons, p = 113.

    Args:
        values: f(a, b), for n functions such as neurons or logits.

    Returns:
        Powers, which sum to the sum of squares of the values.

    Raises:
        UserError: a value is nan or infinite.

    >>> angles = 2 * torch.pi * torch.arange(5.0) / 5
    >>> pair_spectrum((angles[:, None] + 2 * angles).cos()[..., None])[..., 0].round(decimals=3).abs()
    tensor([[ 0.0000,  0.0000,  0.0000],
            [ 0.0000,  0.0000, 12.5000],
            [ 0.0000,  0.0000,  0.0000]])
    """
    if not values.isfinite().all():
        raise UserError("values over the pairs are nan or infinite: training diverged; lower the learning rate")
    p, _, n = values.shape
    x = values.detach().to(result_dtype(values))
    functions = _basis(p, x)
    coefficients = functions @ (functions @ x.reshape(p, p * n)).view(p, p, n)
    power = coefficients.square_()
    cosines, sines = p // 2 + 1, (p - 1) // 2
    for dimension in (0, 1):
        folded = power.narrow(dimension, 0, cosines)
        folded.narrow(dimension, 1, sines).add_(power.narrow(dimension, cosines, sines))
        power = folded
    return power


def neuron_frequencies(activations: Float[Tensor, "p p neurons"]) -> NeuronFrequencies:
    """The frequency k that explains most of each neuron's variance over the pairs, and the fraction explained.

    A frequency explains the power at (k, 0), (0, k) and (k, k): functions of frequency k of one operand, and their
    products (Nanda et al., 2023, section 4.3). The cost is that of `pair_spectrum`.

    Args:
        activations: activations of every neuron for all pairs.

    Raises:
        UserError: an activation is nan or infinite.
    """
    power = pair_spectrum(activations)
    variance = power.sum((0, 1)) - power[0, 0]
    k = torch.arange(1, len(power), device=power.device)
    explained = power[k, 0] + power[0, k] + power[k, k]
    floor = torch.finfo(power.dtype).eps * power.sum((0, 1)) * len(power)
    varies = variance > floor
    best, which = explained.max(0)
    share = torch.where(varies, best / variance.masked_fill(~varies, 1), 0)
    return NeuronFrequencies(torch.where(varies, which + 1, 0), share)


def _basis(p: int, like: Float[Tensor, "..."]) -> Float[Tensor, "p p"]:
    """The orthonormal functions of one operand, one per row: cosines of frequency 0 .. floor(p / 2), then sines."""
    symbols = torch.arange(p)
    angles = (torch.arange(p // 2 + 1)[:, None] * symbols % p).double() * (2 * torch.pi / p)
    functions = torch.cat([angles.cos(), angles[1 : (p + 1) // 2].sin()])
    return (functions / functions.norm(dim=1, keepdim=True)).to(like)
