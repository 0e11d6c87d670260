"""Principal axes of embeddings, and their projection on the first two."""

import numpy as np
from jaxtyping import Float


def principal_axes(embeddings: Float[np.ndarray, "*snapshots p d"]) -> Float[np.ndarray, "*snapshots 2 d"]:
    """The first two principal axes of each snapshot; a missing one (in one dimension, the second) is zero."""
    centred = embeddings - embeddings.mean(-2, keepdims=True)
    axes = np.linalg.svd(centred, full_matrices=False)[2][..., :2, :]
    missing = [(0, 0)] * (axes.ndim - 2) + [(0, 2 - axes.shape[-2]), (0, 0)]
    return np.pad(axes, missing)


def principal_components(
    embeddings: Float[np.ndarray, "n p d"], fixed_axes: bool
) -> tuple[Float[np.ndarray, "n p 2"], Float[np.ndarray, " n"]]:
    """Project each snapshot on its two principal axes, or all on those of the last one.

    One-dimensional embeddings get a zero second coordinate. Axes are rotated so that consecutive snapshots differ
    least.

    Returns:
        The coordinates, and the fraction of each snapshot's variance that they explain.
    """
    centred = embeddings - embeddings.mean(1, keepdims=True)
    axes = principal_axes(embeddings)
    if fixed_axes:
        axes[:] = axes[-1]
    points = centred @ axes.transpose(0, 2, 1)
    for now in range(len(points) - 2, -1, -1):
        signs = np.sign((points[now] * points[now + 1]).sum(0))
        points[now] *= np.where(signs == 0, 1, signs)
    total = (centred**2).sum((1, 2))
    return points, (points**2).sum((1, 2)) / np.where(total == 0, 1, total)


def principal_plane(embeddings: Float[np.ndarray, "p d"]) -> tuple[Float[np.ndarray, "p 2"], float]:
    """The embeddings' first two principal components, and the fraction of the variance that they explain."""
    points, explained = principal_components(embeddings[None], fixed_axes=False)
    return points[0], float(explained[0])
