"""Sharpness: the largest eigenvalue of the Hessian of a loss, by the Lanczos method.

Notation: H, the Hessian with respect to the weights; q_1, q_2, .., orthonormal vectors of the Krylov space of a start
vector; T, the tridiagonal matrix q_i . H q_j, whose largest eigenvalue approaches that of H from below (Golub and Van
Loan, section 10.1). All vectors are kept and each new one is orthogonalised against them, so that no eigenvalue appears
twice.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.errors import UserError, require_at_least


def sharpness(
    loss: Callable[[], Tensor], weights: Sequence[Tensor], iterations: int = 40, tolerance: float = 1e-3
) -> float:
    """The largest eigenvalue of the Hessian of a loss.

    An iteration costs about two backward passes and stores a vector as long as the weights: 0.5 s on one core for 512
    pairs of the transformer of Nanda et al.

    Args:
        loss: function that computes the loss, differentiable twice.
        weights: weights to differentiate by.
        iterations: maximum number of iterations.
        tolerance: relative error of the eigenvalue at which to stop.

    Raises:
        UserError: the loss is not finite, or iterations is not positive.

    >>> x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> round(sharpness(lambda: (torch.tensor([1.0, 5.0, 2.0]) * x**2).sum(), [x]), 4)
    10.0
    """
    with torch.enable_grad():
        value = loss()
        if not value.isfinite():
            raise UserError("the loss is nan or infinite, so it has no sharpness: lower the learning rate")
        # Weights on which the loss depends not at all or only linearly have zeros in the Hessian.
        gradients = torch.autograd.grad(value, weights, create_graph=True, materialize_grads=True)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
    if not flat.requires_grad:
        return 0.0

    def product(vector: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        parts = torch.autograd.grad(flat, weights, vector, retain_graph=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in parts])

    return largest_eigenvalue(product, torch.zeros_like(flat.detach()), iterations, tolerance)


def largest_eigenvalue(
    product: Callable[[Float[Tensor, " n"]], Float[Tensor, " n"]],
    like: Float[Tensor, " n"],
    iterations: int = 40,
    tolerance: float = 1e-3,
) -> float:
    """The largest eigenvalue of a symmetric matrix given by its products with vectors.

    Args:
        product: maps a vector to its product with the matrix.
        like: a vector with the matrix's size, precision and device; its values do not matter.
        iterations: maximum number of iterations; at most the size is useful.
        tolerance: relative error at which to stop, from the residual of the eigenvector.

    Raises:
        UserError: iterations is not positive.
    """
    require_at_least("largest_eigenvalue", "iterations", iterations, 1)
    start = torch.randn(len(like), generator=torch.Generator().manual_seed(0)).to(like)
    vectors = [start / start.norm()]
    diagonal: list[float] = []
    beside: list[float] = []
    largest = 0.0
    for _ in range(min(iterations, len(like))):
        image = product(vectors[-1])
        diagonal.append(float(image @ vectors[-1]))
        basis = torch.stack(vectors)
        for _again in range(2):  # one pass leaves rounding errors
            image = image - basis.T @ (basis @ image)
        length = float(image.norm())
        tridiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        for offset in (1, -1):
            tridiagonal += torch.diag(torch.tensor(beside, dtype=torch.float64), offset)
        values, states = torch.linalg.eigh(tridiagonal)
        largest = float(values[-1])
        residual = length * abs(float(states[-1, -1]))
        if residual <= tolerance * abs(largest) or length <= 1e-6 * float(values.abs().max()):
            break
        beside.append(length)
        vectors.append(image / length)
    return largest
