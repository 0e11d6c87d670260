"""Ground states of a training set, with a proven count.

A ground state is an embedding that satisfies every parallelogram equation E_i + E_j = E_m + E_n of A(P0(D)) (equation
7). The ground states span the null space of the integer matrix G (`gram_matrix`), of dimension n0 = p - rank G. A
sample s is inferable from a training sample t of the same result if w = u_s - u_t is orthogonal to all of them. Three
facts prove ranks (pdet is the product of the non-zero eigenvalues):

- Bound: the rank is at most p - 1, because constant E satisfies all equations, and at most p - 2 if E_k = k does, which
  the table's integers show. If as many eigenvalues as the bound exceed the rounding error, the rank is proven.
- Gap: pdet G is a sum of minors of an integer positive semidefinite matrix, so pdet G >= 1; likewise pdet(G + w w^T) =
  pdet(G) |w_perp|^2 >= 1 if w is independent. So an eigenvalue within the rounding error ``tol`` of zero is zero if 2
  tol * (product of the others) < 1, and w_perp is zero if its square is below 1 / pdet G. This is enough for small p.
- Substitution modulo primes, otherwise: `grokking_pl.metrics.substitution`.
"""

import itertools
import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.metrics.parallelograms import MOST_ENTRIES, gram_and_class_sizes, require_commutative, sets_at_once
from grokking_pl.metrics.substitution import PRIMES, Substitution, rank_bound, residual, substitute
from grokking_pl.metrics.training_set import training_mask
from grokking_pl.tasks import OperationTable

ROUNDING = 10 * torch.finfo(torch.float64).eps
"""Times p and the largest eigenvalue: a generous error bound on the eigenvalues of an exact matrix."""


@dataclass(frozen=True)
class GroundStates:
    """Ground states of the equations A(P0(D)) of each training set.

    Args:
        eigenvalues: eigenvalues of the Gram matrix G, ascending; the first n0 are exactly zero.
        n0: the nullity, i.e. the number of degrees of freedom of the ground states.
        inferable: mask of the samples whose combined vector equals that of a training sample of the same result in
            every ground state.
        parallelograms: the number |P0(D)| of equations.
    """

    eigenvalues: Float[Tensor, "*sets p"]
    n0: Int[Tensor, "*sets"]
    inferable: Bool[Tensor, "*sets samples"]
    parallelograms: Int[Tensor, "*sets"]


def ground_states(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> GroundStates:
    """The spectrum of G, its nullity n0 and the inferable samples, for one training set or a batch.

    An empty P0(D) gives zero eigenvalues, n0 = p, and no inferable samples except the training set and, in a table of
    ordered pairs, its mirror images.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    require_commutative(table)
    mask = training_mask(table, train)
    masks = mask.reshape(-1, len(table))
    parts = [_ground_states(table, part) for part in masks.split(sets_at_once(table))]
    if len(parts) == 1:
        values, n0, inferable, parallelograms = parts[0]
    else:
        values, n0, inferable, parallelograms = (torch.cat(column) for column in zip(*parts, strict=True))
    sets = mask.shape[:-1]
    return GroundStates(
        values.reshape(*sets, table.p), n0.reshape(sets), inferable.reshape(mask.shape), parallelograms.reshape(sets)
    )


def full_nullity(table: OperationTable) -> int:
    """The nullity n0(D0) of the whole table, a lower bound for every training set; computed once per table.

    It is 2 for addition (translation and scale), and 1 for addition in a finite abelian group, whose affine maps to R^d
    are all constant.
    """
    if table not in _FULL_NULLITY:
        _FULL_NULLITY[table] = int(ground_states(table).n0)
    return _FULL_NULLITY[table]


_FULL_NULLITY: WeakKeyDictionary[OperationTable, int] = WeakKeyDictionary()


def _ground_states(
    table: OperationTable, mask: Bool[Tensor, "sets samples"]
) -> tuple[Float[Tensor, "sets p"], Int[Tensor, " sets"], Bool[Tensor, "sets samples"], Int[Tensor, " sets"]]:
    """The fields of `GroundStates`, proven for each set by the cheapest argument."""
    least_nullity = table.p - rank_bound(table)
    gram, class_size = gram_and_class_sizes(table, mask)
    values = torch.linalg.eigvalsh(gram)
    tol = ROUNDING * table.p * values[:, -1:].clamp(min=0)
    small = values <= tol
    n0 = small.sum(dim=-1)
    if table not in _FULL_NULLITY and bool((n0 == least_nullity).any()):
        _FULL_NULLITY[table] = least_nullity  # the whole table has more equations, so its nullity is no higher
    # At the least nullity the ground states are the full table's, so only absent classes are unknown.
    inferable = class_size > 0
    undecided = n0 > least_nullity
    if bool(undecided.any()):
        proven = _settled_by_gap(values, tol[:, 0], small)
        base, _ = _base_samples(table, mask)
        gap, no_gap = (undecided & proven).nonzero()[:, 0], (undecided & ~proven).nonzero()[:, 0]
        for part in gap.split(max(1, MOST_ENTRIES // (table.p * len(table)))) if len(gap) else ():
            inferable[part] &= _agree_by_gap(table, gram[part], n0[part], base[part])
        if len(no_gap):
            n0[no_gap], inferable[no_gap] = _by_substitution(table, mask[no_gap])
        small = torch.arange(table.p, device=values.device) < n0[:, None]
    parallelograms = (((class_size - 1) * mask).sum(dim=-1) / 2).long()
    return values.masked_fill_(small, 0.0), n0, inferable, parallelograms


def _settled_by_gap(
    values: Float[Tensor, "sets p"], tol: Float[Tensor, " sets"], small: Bool[Tensor, "sets p"]
) -> Bool[Tensor, " sets"]:
    """Whether the eigenvalues within rounding are proven zero, and independence is provably detectable."""
    log_pdet = (values + tol[:, None]).masked_fill(small, 1.0).log().sum(dim=-1)
    smallest = values.masked_fill(small, torch.inf).amin(dim=-1)
    angle = tol / smallest  # rotation of the null space by rounding
    # |w_perp| is below sqrt(8) * angle or above 1 / sqrt(pdet): far enough apart for a threshold.
    return ((2 * tol).log() + log_pdet < 0) & (36 * angle**2 * log_pdet.exp() < 1)


def _agree_by_gap(
    table: OperationTable,
    gram: Float[Tensor, "sets p p"],
    n0: Int[Tensor, " sets"],
    base: Int[Tensor, "sets samples"],
) -> Bool[Tensor, "sets samples"]:
    """Whether |w_perp|² < 1 / (4 pdet G), w = u_s - u_t for each sample s and the base t of its class."""
    values, vectors = torch.linalg.eigh(gram)
    null = torch.arange(table.p, device=gram.device) < n0[:, None]
    log_pdet = values.masked_fill(null, 1.0).log().sum(dim=-1, keepdim=True)
    vectors = vectors * null[:, None, :]
    combined = vectors[:, table.a.to(gram.device)] + vectors[:, table.b.to(gram.device)]
    of_base = combined.gather(1, base[..., None].expand_as(combined))
    return (combined - of_base).square_().sum(dim=-1) < 0.25 * (-log_pdet).exp()


def _by_substitution(
    table: OperationTable, mask: Bool[Tensor, "sets samples"]
) -> tuple[Int[Tensor, " sets"], Bool[Tensor, "sets samples"]]:
    """Nullity and inferable samples, modulo as many primes as the proof needs."""
    bound = rank_bound(table)
    order = (~mask).byte().argsort(dim=1, stable=True)
    lengths = mask.sum(dim=1)
    n0 = lengths.new_full((len(mask),), table.p + 1)
    inferable = torch.ones_like(mask)
    unproven = torch.arange(len(mask), device=mask.device)
    proven_bits = 0.0
    for prime in PRIMES:
        for seed in itertools.count():
            solved = substitute(table, order[unproven], lengths[unproven], prime, seed)
            by_prime = _inferable(table, mask[unproven], solved)
            if bool((by_prime | ~mask[unproven]).all()):  # else the random ground state missed an equation
                break
        previous = n0[unproven]
        better, same = (solved.n0 < previous)[:, None], (solved.n0 == previous)[:, None]
        inferable[unproven] = torch.where(better, by_prime, inferable[unproven] & (by_prime | ~same))
        n0[unproven] = torch.minimum(previous, solved.n0)
        unproven = unproven[n0[unproven] > table.p - bound]
        proven_bits += math.log2(prime)
        if not len(unproven) or 1.5 * bound < proven_bits:
            break
    return n0, inferable


def _inferable(
    table: OperationTable, mask: Bool[Tensor, "sets samples"], solved: Substitution
) -> Bool[Tensor, "sets samples"]:
    """Which samples equal the first training sample of their class in every ground state."""
    a, b = table.a.to(mask.device), table.b.to(mask.device)
    base, agree = _base_samples(table, mask)
    corners = torch.stack([a.expand(mask.shape), b.expand(mask.shape), a[base], b[base]])
    agree &= residual(solved.basis[..., 0], corners) % solved.modulus == 0
    # Agreement in the random ground state is almost certain; the full basis proves it.
    training_set, sample = agree.nonzero(as_tuple=True)
    chunk = max(1, MOST_ENTRIES // solved.basis.shape[-1])
    for part, index in zip(training_set.split(chunk), sample.split(chunk), strict=True):
        i, j, m, n = (solved.basis[part, corner] for corner in corners[:, part, index])
        agree[part, index] = ((i + j - m - n) % solved.modulus == 0).all(dim=1)
    return agree


def _base_samples(
    table: OperationTable, mask: Bool[Tensor, "sets samples"]
) -> tuple[Int[Tensor, "sets samples"], Bool[Tensor, "sets samples"]]:
    """The base of each sample (the first training sample of its class), and whether there is one."""
    samples, c = len(table), table.c.to(mask.device)
    order = torch.arange(samples, device=mask.device)
    of_class = order.new_full((len(mask), table.num_results), samples)
    of_class.scatter_reduce_(1, c.expand(mask.shape), torch.where(mask, order, samples), "amin")
    base = of_class[:, c]
    exists = base < samples
    return base.clamp_(max=samples - 1), exists
