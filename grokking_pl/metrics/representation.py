"""Representations: the embeddings of all symbols, and how the model combines two of them.

Notation (section 2 of the paper): E_k, the rows of the p x d matrix of embeddings; a sample (a, b) enters the decoder
as the combined vector E_a + E_b, or for groups as the matrix product E_a E_b.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.precision import result_dtype

Combine = Callable[[Tensor, Tensor], Tensor]
"""Maps E_a and E_b, (*batch, samples, d), to the combined vectors, (*batch, samples, k)."""


def add(
    left: Float[Tensor, "*batch samples d"], right: Float[Tensor, "*batch samples d"]
) -> Float[Tensor, "*batch samples d"]:
    """The sum E_a + E_b; the mean has the same parallelograms at half the distances."""
    return left + right


def matrix_product(
    left: Float[Tensor, "*batch samples d"], right: Float[Tensor, "*batch samples d"]
) -> Float[Tensor, "*batch samples d"]:
    """The product E_a E_b of embeddings as square matrices, stored row by row.

    Raises:
        UserError: d is not a square number.
    """
    d = left.shape[-1]
    n = math.isqrt(d)
    if n * n != d:
        raise UserError(
            f"a matrix product needs embeddings of dimension d = n², but d is {d}; try {n * n} or {(n + 1) ** 2}"
        )
    return (left.unflatten(-1, (n, n)) @ right.unflatten(-1, (n, n))).flatten(-2)


@dataclass(frozen=True, eq=False)
class Representation:
    """The embeddings of a model, or of a batch of models or snapshots, and how two embeddings are combined.

    Args:
        embeddings: E, one row per symbol; leading dimensions are a batch of representations.
        combine: maps E_a and E_b, (*batch, samples, d), to the combined vectors, (*batch, samples, k).

    Raises:
        UserError: the embeddings are not a real floating-point tensor of at least two dimensions.
    """

    embeddings: Float[Tensor, "*batch p d"]
    combine: Combine = add

    def __post_init__(self) -> None:
        if self.embeddings.ndim < 2 or not self.embeddings.is_floating_point():
            raise UserError(
                f"embeddings of shape {tuple(self.embeddings.shape)} and {self.embeddings.dtype} were given, "
                "expected a floating-point tensor (*batch, p, d)"
            )

    @property
    def batch(self) -> torch.Size:
        """The leading dimensions."""
        return self.embeddings.shape[:-2]

    @property
    def p(self) -> int:
        """The number of symbols."""
        return self.embeddings.shape[-2]

    @property
    def adds(self) -> bool:
        """Whether two embeddings are combined by sum or mean, not by a product."""
        if self.combine is add:
            return True
        d = self.embeddings.shape[-1]
        left, right = torch.arange(1.0, d + 1)[None], torch.full((1, d), 0.5)
        both = self.combine(left, right)
        return both.shape == left.shape and any(torch.allclose(both, (left + right) * scale) for scale in (1, 0.5))

    @property
    def result_dtype(self) -> torch.dtype:
        """The precision of a metric's values."""
        return result_dtype(self.embeddings)

    def exact(self) -> "Representation":
        """The representation in double precision, without gradients and as a batch of one dimension, checked.

        In double precision the sum of two single-precision embeddings is exact (unless their magnitudes are half a
        billion apart), so a metric does not depend on the arithmetic.

        Raises:
            UserError: an embedding is nan or infinite.
        """
        # Apple's GPUs have no double precision.
        device = torch.device("cpu") if self.embeddings.device.type == "mps" else self.embeddings.device
        embeddings = self.embeddings.detach().to(device, torch.float64)
        # One sum is cheaper than testing every entry; in double precision no single-precision input overflows.
        if not math.isfinite(embeddings.sum().item()):
            check_finite(embeddings)
        return replace(self, embeddings=embeddings.reshape(-1, *embeddings.shape[-2:]))


def check_finite(embeddings: Float[Tensor, "*batch p d"]) -> None:
    """Raise a `UserError` if an embedding is nan or infinite."""
    finite = embeddings.isfinite().flatten(-2).all(-1)
    if not finite.all():
        which = f" in {int((~finite).sum())} of {finite.numel()} representations" if finite.numel() > 1 else ""
        raise UserError(f"embeddings are nan or infinite{which}: training diverged; lower the learning rate")
