"""Embeddings truncated to their first principal components (section 4.2 of the paper, appendix K).

Notation: X, the p embeddings minus their mean, with the singular value decomposition X = U S V^T; the truncation to k
components is X V_k V_k^T plus the mean, with V_k the first k columns of V.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.precision import double_precision
from grokking_pl.metrics.representation import check_finite


def most_components(embeddings: Float[Tensor, "p d"]) -> int:
    """The number of components from which truncation has no effect: min(p - 1, d), at least 1."""
    p, d = embeddings.shape
    return max(1, min(p - 1, d))


def truncated_embeddings(
    embeddings: Float[Tensor, "p d"], components: Sequence[int]
) -> Float[Tensor, "components p d"]:
    """The embeddings truncated to their first k principal components, for each k in ``components``.

    One singular value decomposition. Cost: 3 ms on one core for p = 113, d = 128 and 12 values of k.

    Args:
        embeddings: one row per symbol.
        components: the numbers k. From `most_components` on, the embeddings are returned unchanged.

    Raises:
        UserError: a number is not positive, or an embedding is nan or infinite.

    >>> truncated_embeddings(torch.tensor([[0.0, 0.1], [2.0, 0.0], [4.0, 0.2], [2.0, 0.1]]), [1])[0].round(decimals=2)
    tensor([[0.0000, 0.0500],
            [2.0000, 0.1000],
            [4.0000, 0.1500],
            [2.0000, 0.1000]])
    """
    if wrong := [k for k in components if k < 1]:
        raise UserError(f"embeddings cannot be truncated to {wrong[0]} principal components; give 1 or more")
    check_finite(embeddings)
    exact = double_precision(embeddings.detach())
    mean = exact.mean(0)
    left, values, right = torch.linalg.svd(exact - mean, full_matrices=False)
    enough = most_components(embeddings)
    return torch.stack(
        [
            embeddings.detach() if k >= enough else ((left[:, :k] * values[:k]) @ right[:k] + mean).to(embeddings)
            for k in components
        ]
    )
