"""The effective loss and its Hessian, equations (5) and (8) of the paper.

Notation: E (p x d), the embeddings; G, the Gram matrix of the parallelogram equations (`gram_matrix`); |P0(D)|, their
number. Without parallelograms, loss, Hessian and rates are zero.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from grokking_pl.metrics.parallelograms import count_parallelograms, gram_matrix
from grokking_pl.tasks import OperationTable


def hessian(
    table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None, z0: float | None = None
) -> Float[Tensor, "*sets p p"]:
    """The Hessian (equation 8) of the effective loss, H = 2 G / (Z0 |P0(D)|); zeros if P0(D) is empty.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.
        z0: Z0 = sum of |E_k|²; None for p, as for normalised one-dimensional embeddings.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    return gram_matrix(table, train) * curvature_scale(table, train, z0)[..., None, None]


def curvature_scale(
    table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None, z0: float | None = None
) -> Float[Tensor, "*sets"]:
    """The factor 2 / (Z0 |P0(D)|) between G and H; zero if P0(D) is empty."""
    return scale_of(count_parallelograms(table, train), table.p if z0 is None else z0)


def scale_of(parallelograms: Int[Tensor, "*sets"], z0: float) -> Float[Tensor, "*sets"]:
    """The same factor from the number |P0(D)| of equations."""
    return torch.where(parallelograms > 0, 2.0 / (z0 * parallelograms.double()), 0.0)


def effective_loss(
    embeddings: Float[Tensor, "*times p d"], table: OperationTable, train: Shaped[Tensor, " n"] | None = None
) -> Float[Tensor, "*times"]:
    """The effective loss (equation 5), l_eff = l0 / Z0 with l0 = tr(E^T G E) / |P0(D)|; zero if P0(D) is empty.

    Args:
        embeddings: one representation, or one per time.
        table: the operation; it must commute.
        train: the training set as a mask or indices; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    e = embeddings.double()
    z0 = e.square().sum(dim=(-2, -1))
    half_hessian = gram_matrix(table, train) * curvature_scale(table, train, z0=2.0)
    return torch.einsum("...kd,kl,...ld->...", e, half_hessian.to(e.device), e) / z0
