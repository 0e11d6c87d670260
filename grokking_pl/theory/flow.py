"""Trajectories of the effective theory, in closed form (section 3.2, equations (4) to (9)).

With eigenvalues lambda_i and eigenvectors v_i of H = 2 G / (Z0 |P0(D)|) and a_i = v_i^T E(0):

- linear flow, dE/dt = -H E (equation 9): E(t) = sum_i v_i a_i exp(-lambda_i t). Conserves C = sum of E_k; Z0 decays.
- normalised flow, the gradient flow (equation 4) of l_eff = l0 / Z0: a Rayleigh quotient, hence E(t) = sqrt(Z0) y(t) /
  |y(t)| where y(t) is the linear flow. Conserves Z0, and C if C = 0 (as for normalised embeddings); in general dC/dt =
  (2 l_eff / Z0) C.

Both are exact at every t; time t corresponds to t / eta steps of gradient descent.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.ground_states import ground_states
from grokking_pl.metrics.parallelograms import gram_matrix
from grokking_pl.tasks import OperationTable
from grokking_pl.theory.hessian import curvature_scale


def normalised(embeddings: Float[Tensor, "*times p d"]) -> Float[Tensor, "*times p d"]:
    """The normalised embeddings (E_k - mu) / sigma, with mu the mean and sigma² = mean of |E_k - mu|².

    So C = 0 and Z0 = p. (The paper's sigma_t lacks the square root.)

    Raises:
        UserError: all embeddings are equal.
    """
    centred = embeddings.double() - embeddings.double().mean(dim=-2, keepdim=True)
    sigma = centred.square().sum(dim=-1, keepdim=True).mean(dim=-2, keepdim=True).sqrt()
    if bool((sigma == 0).any()):
        raise UserError("the embeddings are all equal and cannot be normalised; at least two must differ")
    return centred / sigma


def conserved_quantities(
    embeddings: Float[Tensor, "*times p d"],
) -> tuple[Float[Tensor, "*times d"], Float[Tensor, "*times"]]:
    """C = sum of E_k and Z0 = sum of |E_k|² (equation 6)."""
    return embeddings.sum(dim=-2), embeddings.square().sum(dim=(-2, -1))


def linear_flow(
    initial: Float[Tensor, "p d"],
    table: OperationTable,
    train: Shaped[Tensor, " n"] | None,
    times: Float[Tensor, " times"],
) -> Float[Tensor, "times p d"]:
    """The trajectory R(t) = sum_i a_i v_i exp(-lambda_i t) (equation 9), with Z0 that of the initial embeddings.

    Args:
        initial: the embeddings at t = 0.
        table: the operation; it must commute.
        train: the training set as a mask or indices; None for all samples.
        times: the times t >= 0, in any order.

    Raises:
        UserError: the initial embeddings are zero or of the wrong shape, a time is negative, the operation does not
            commute, or ``train`` is not a set of the table's samples.
    """
    vectors, rates, amplitudes, times, _ = _modes(initial, table, train, times)
    decay = torch.exp(-rates * times[:, None])
    return torch.einsum("ki,ti,id->tkd", vectors, decay, amplitudes)


def normalised_flow(
    initial: Float[Tensor, "p d"],
    table: OperationTable,
    train: Shaped[Tensor, " n"] | None,
    times: Float[Tensor, " times"],
) -> Float[Tensor, "times p d"]:
    """The trajectory of the gradient flow of l_eff (equations 4 and 5), E(t) = sqrt(Z0) y(t) / |y(t)|.

    Start from `normalised` embeddings to compare with the paper's figure 4 (c).

    Args:
        initial: the embeddings at t = 0.
        table: the operation; it must commute.
        train: the training set as a mask or indices; None for all samples.
        times: the times t >= 0, in any order.

    Raises:
        UserError: the initial embeddings are zero or of the wrong shape, a time is negative, the operation does not
            commute, or ``train`` is not a set of the table's samples.
    """
    vectors, rates, amplitudes, times, z0 = _modes(initial, table, train, times)
    # Scale by the slowest mode present, so that y never underflows.
    slowest = rates[amplitudes.abs().amax(dim=1) > 0].min()
    decay = torch.exp(-(rates - slowest).clamp(min=0) * times[:, None])
    direction = decay[..., None] * amplitudes
    direction = direction * (z0.sqrt() / direction.norm(dim=(-2, -1), keepdim=True))
    return torch.einsum("ki,tid->tkd", vectors, direction)


def _modes(
    initial: Float[Tensor, "p d"],
    table: OperationTable,
    train: Shaped[Tensor, " n"] | None,
    times: Float[Tensor, " times"],
) -> tuple[Float[Tensor, "p p"], Float[Tensor, " p"], Float[Tensor, "p d"], Float[Tensor, " times"], Float[Tensor, ""]]:
    """Eigenvectors, rates, initial amplitudes, times and Z0, in double precision."""
    if initial.dim() != 2 or len(initial) != table.p:
        raise UserError(
            f"{table.name}: the initial embeddings have shape {tuple(initial.shape)}, expected ({table.p}, d), "
            "one row per symbol"
        )
    start, times = initial.double(), torch.as_tensor(times).to(initial.device).double()
    z0 = start.square().sum()
    if not z0 > 0:
        raise UserError(f"{table.name}: the initial embeddings are all zero; expected non-zero embeddings")
    if times.numel() and times.min() < 0:
        raise UserError(
            f"{table.name}: a time is {float(times.min())}, expected times >= 0; the flow only runs forward"
        )
    gram = gram_matrix(table, train).to(start.device)
    values, vectors = torch.linalg.eigh(gram)
    values = values.masked_fill(torch.arange(table.p, device=values.device) < ground_states(table, train).n0, 0.0)
    rates = values.clamp(min=0) * curvature_scale(table, train, float(z0)).to(values.device)
    amplitudes = vectors.T @ start
    # Rounding must not seed an absent mode: it would outlive all others.
    absent = amplitudes.norm(dim=1) < table.p * torch.finfo(start.dtype).eps * z0.sqrt()
    return vectors, rates, amplitudes.masked_fill(absent[:, None], 0.0), times, z0
