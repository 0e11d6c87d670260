"""The effective dimension of the embeddings: over how many principal components they spread (section 4.2, figure 7).

Notation: sigma_i, the fraction of the variance of the p embeddings, centred, along their i-th principal component;
S = - sum_i sigma_i log sigma_i, with the natural logarithm and 0 log 0 = 0; the effective dimension is exp(S).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.metrics.precision import double_precision, result_dtype
from grokking_pl.metrics.representation import Representation, check_finite
from grokking_pl.metrics.representation_metric import RepresentationMetric


def explained_variance(embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch min(p,d)"]:
    """The fraction sigma_i of the variance explained by each principal component, in descending order.

    Args:
        embeddings: one row per symbol; leading dimensions are a batch.

    Returns:
        min(p, d) fractions that sum to 1; all 0 if all embeddings are equal.

    Raises:
        UserError: an embedding is nan or infinite.

    >>> explained_variance(torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]]))
    tensor([1., 0.])
    """
    return _explained_variance(embeddings).to(result_dtype(embeddings))


def pca_entropy(embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch"]:
    """The entropy S = - sum_i sigma_i log sigma_i of the explained variance, in nats (section 4.2).

    Args:
        embeddings: one row per symbol; leading dimensions are a batch.

    Returns:
        Between 0 and log min(p - 1, d); 0 if all embeddings are equal.

    Raises:
        UserError: an embedding is nan or infinite.
    """
    return _pca_entropy(embeddings).to(result_dtype(embeddings))


def effective_dimension(embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch"]:
    """The effective dimension exp(S) of the embeddings (figure 7).

    Cost: 2 ms on one core for p = 113, d = 128.

    Args:
        embeddings: one row per symbol; leading dimensions are a batch.

    Returns:
        Between 1 and min(p - 1, d); 1 if all embeddings are equal (S = 0).

    Raises:
        UserError: an embedding is nan or infinite.

    >>> effective_dimension(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]))
    tensor(2.)
    """
    return _pca_entropy(embeddings).exp().to(result_dtype(embeddings))


class EffectiveDimension(RepresentationMetric):
    """The effective dimension exp(S) of the embeddings (figure 7), averaged over all representations since the reset.

    >>> metric = EffectiveDimension()
    >>> metric.update(Representation(torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]])))
    >>> metric.compute()
    tensor(1.)
    """

    def measure(self, representation: Representation) -> Float[Tensor, "*batch"]:
        """`effective_dimension` of the embeddings."""
        return effective_dimension(representation.embeddings)


def _pca_entropy(embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch"]:
    return torch.special.entr(_explained_variance(embeddings)).sum(-1)


def _explained_variance(embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch min(p,d)"]:
    check_finite(embeddings)
    x = double_precision(embeddings)
    x = x / _positive(x.abs().amax((-2, -1), keepdim=True))  # avoids overflow and underflow of squares
    x = x - x[..., :1, :]  # makes equal embeddings exactly 0, before the mean can round
    x = x - x.mean(-2, keepdim=True)
    # The squared singular values are the eigenvalues of the smaller of the two Gram matrices.
    gram = x.mT @ x if x.shape[-1] <= x.shape[-2] else x @ x.mT
    variance = torch.linalg.eigvalsh(gram).flip(-1).clamp(min=0)
    return variance / _positive(variance.sum(-1, keepdim=True))


def _positive(divisor: Tensor) -> Tensor:
    """Replace 0 by 1, for quotients whose numerator is 0 as well."""
    return divisor.masked_fill(divisor == 0, 1)
