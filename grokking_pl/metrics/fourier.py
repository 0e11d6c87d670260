"""The Fourier spectrum of embeddings over the symbols, in which solutions of modular addition are sparse.

Notation: E_a, the embedding of the symbol a = 0 .. p - 1; its transform F_k = sum_a E_a exp(-2 pi i k a / p), a vector
of d numbers; the power at frequency k = 1 .. floor(p / 2) is |F_k|^2 summed over the d dimensions. A network that adds
modulo p on circles has its power at a few key frequencies (Nanda et al., 2023, section 4).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.precision import double_precision, result_dtype
from grokking_pl.metrics.representation import check_finite


def fourier_power(embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch p//2"]:
    """The fraction of the power at each frequency 1 .. floor(p / 2).

    Cost: 0.4 ms on one core for p = 113, d = 128.

    Args:
        embeddings: one row per symbol; leading dimensions are a batch.

    Returns:
        Fractions that sum to 1, from frequency 1; all 0 if all embeddings are equal.

    Raises:
        UserError: an embedding is nan or infinite, or there are fewer than two.

    >>> angles = 2 * torch.pi * 2 * torch.arange(5) / 5
    >>> fourier_power(torch.stack([angles.cos(), angles.sin()], 1)).round(decimals=4)
    tensor([0., 1.])
    """
    p = embeddings.shape[-2]
    if p < 2:
        raise UserError(f"a Fourier spectrum needs at least two embeddings, but there are {p}")
    check_finite(embeddings)
    x = double_precision(embeddings)
    x = x - x.mean(-2, keepdim=True)
    power = torch.fft.rfft(x, dim=-2).abs().square().sum(-1)[..., 1:]
    if p % 2 == 0:
        power[..., -1] /= 2  # the others count both k and p - k
    floor = torch.finfo(x.dtype).eps * x.square().sum((-2, -1)) * p
    total = power.sum(-1, keepdim=True)
    shares = torch.where(power > floor[..., None], power, 0) / total.masked_fill(total == 0, 1)
    return shares.to(result_dtype(embeddings))


def fourier_norms(weights: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch p//2"]:
    """The norm of weights at each frequency 1 .. floor(p / 2), for embeddings or for output weights by class.

    In the orthonormal basis of 1, cos(2 pi k a / p) and sin(2 pi k a / p) over the p rows, the norm at frequency k is
    that of the two components of k. The squares sum to the squared norm of the weights minus their mean over the rows
    (Nanda et al., 2023, figure 3). Cost: 0.5 ms on one core for p = 113, d = 128.

    Args:
        weights: one row per symbol or class; leading dimensions are a batch.

    Returns:
        Norms in the unit of the weights, from frequency 1.

    Raises:
        UserError: a weight is nan or infinite, or there are fewer than two rows.

    >>> angles = 2 * torch.pi * 2 * torch.arange(5) / 5
    >>> fourier_norms(torch.stack([angles.cos(), angles.sin()], 1)).square().round(decimals=4)
    tensor([0., 5.])
    """
    x = double_precision(weights)
    total = (x - x.mean(-2, keepdim=True)).square().sum((-2, -1))
    return (fourier_power(x) * total[..., None]).sqrt().to(result_dtype(weights))


def key_frequencies(embeddings: Float[Tensor, "*batch p d"], factor: float = 3.0) -> Bool[Tensor, "*batch p//2"]:
    """Which frequencies hold more than ``factor`` times their share in a uniform spectrum.

    Spectra of random embeddings in d dimensions deviate from uniform by about 1 / sqrt(d). The cost is that of
    `fourier_power`.

    Args:
        embeddings: one row per symbol; leading dimensions are a batch.
        factor: multiple of the uniform share.

    Returns:
        True for key frequencies, from frequency 1.

    Raises:
        UserError: an embedding is nan or infinite, or the factor is not above 1.
    """
    if not factor > 1:
        raise UserError(f"factor is {factor}; it must be above 1")
    return above_uniform(fourier_power(embeddings), factor)


def above_uniform(power: Float[Tensor, "*batch terms"], factor: float) -> Bool[Tensor, "*batch terms"]:
    """Which fractions of the power exceed ``factor`` times those of a uniform spectrum."""
    return power > factor / power.shape[-1]
