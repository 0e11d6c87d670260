"""Ground states of a training set, by arithmetic that proves its ranks, and the accuracy they allow.

A ground state is an embedding that satisfies every parallelogram equation E_i + E_j = E_m + E_n of A(P0(D)) [7]. The
ground states span the null space of the integer matrix G (`gram_matrix`), of dimension n0 = p - rank G. A sample s is
inferable from a training sample t of the same result if w = u_s - u_t is orthogonal to all of them. Three facts prove
ranks (pdet is the product of the non-zero eigenvalues):

- Bound: the rank is at most p - 1, for constant E solve everything, and at most p - 2 where E_k = k does, which the
  table's integers show. Eigenvalues that rounding cannot explain and that reach the bound settle the rank.
- Gap: pdet G is a sum of minors of an integer positive semidefinite matrix, so pdet G >= 1; likewise
  pdet(G + w w^T) = pdet(G) |w_perp|^2 >= 1 if w is independent. So an eigenvalue within the rounding error ``tol`` of
  zero is zero if 2 tol * (product of the others) < 1, and w_perp is zero if its square is below 1 / pdet G. This
  settles small p.
- Substitution, where neither settles it. With one training sample as the base of each class, the equations
  (u_s - u_t)^T E = 0 are solved as one would by hand, in integers modulo a prime q near 2^31: every symbol begins
  free; an equation that does not hold yet expresses one free symbol by the others, and is substituted. The symbols
  still free at the end number n0. Equations independent modulo q are so over the rationals: the rank is never too high.
  It is too low only if q divides all non-zero minors of the right order r; a row has norm sqrt(8) at most, so by
  Hadamard's inequality these are at most 8^(r/2): one prime proves every rank up to p = 22, and the four used (in turn,
  where a proof is lacking) every rank up to p = 84. Beyond that, a rank is wrong only if four given primes of 31 bits
  divide every such minor.
"""

import itertools
import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.metrics.parallelograms import (
    gram_and_peers,
    once_per_table,
    require_commutative,
    training_mask,
)
from grokking_pl.tasks import OperationTable

PRIMES = (2**31 - 1, 2**31 - 19, 2**31 - 61, 2**31 - 69)
WINDOW = 1024
ROUNDING = 10 * torch.finfo(torch.float64).eps
"""Times p and the largest eigenvalue: a generous bound on the error of a computed eigenvalue of an exact matrix."""
ENTRIES = 2**24
"""The most entries of a temporary tensor: 128 MB of int64 or float64."""


@dataclass(frozen=True)
class GroundStates:
    """What the equations A(P0(D)) of each training set determine.

    Args:
        eigenvalues: of the Gram matrix G, ascending; the first n0 are exactly zero.
        n0: the nullity, i.e. the number of degrees of freedom of the ground states.
        inferable: which samples have, in every ground state, the combined vector of a training sample of their result.
        parallelograms: the number |P0(D)| of equations.
    """

    eigenvalues: Float[Tensor, "*sets p"]
    n0: Int[Tensor, "*sets"]
    inferable: Bool[Tensor, "*sets samples"]
    parallelograms: Int[Tensor, "*sets"]


def ideal_accuracy(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> Float[Tensor, "*sets"]:
    """The accuracy of an ideal model (section 3.2): zero training loss, injective decoder, nothing else known.

    A sample s is inferable if a training sample t of the same result has E_i + E_j (s) = E_m + E_n (t) in every ground
    state: u_s - u_t depends linearly on the training set's equations. The accuracy is |inferable| / |D0|; training
    samples are inferable from themselves.

    It is what the linear equations say. Where not even the full table's ground states keep two result classes apart
    (modular addition: all E_k are equal, for a circle is no solution of linear equations), no decoder is ideal and the
    number is formal; `grokking_pl.theory.predict` reports this as ``faithful``.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.

    >>> from grokking_pl.tasks import addition
    >>> ideal_accuracy(addition(10))
    tensor(1., dtype=torch.float64)
    """
    return ground_states(table, train).inferable.double().mean(-1)


def ground_states(table: OperationTable, train: Shaped[Tensor, "*sets n"] | None = None) -> GroundStates:
    """The spectrum of G, its nullity n0 and the inferable samples, for one training set or a batch.

    An empty P0(D) gives zero eigenvalues, n0 = p, and no inferable samples but those of the training set and, in a
    table of ordered pairs, their mirror images.

    Args:
        table: the operation; it must commute.
        train: the training set as a mask or indices, possibly batched; None for all samples.

    Raises:
        UserError: the operation does not commute, or ``train`` is not a set of the table's samples.
    """
    require_commutative(table)
    mask = training_mask(table, train)
    masks = mask.reshape(-1, len(table))
    chunk = max(1, ENTRIES // (table.p * (table.p + table.num_results) + 4 * len(table)))
    parts = [_ground_states(table, part) for part in masks.split(chunk)]
    if len(parts) == 1:
        values, n0, inferable, parallelograms = parts[0]
    else:
        values, n0, inferable, parallelograms = (torch.cat(column) for column in zip(*parts, strict=True))
    sets = mask.shape[:-1]
    return GroundStates(
        values.reshape(*sets, table.p), n0.reshape(sets), inferable.reshape(mask.shape), parallelograms.reshape(sets)
    )


@once_per_table
def rank_bound(table: OperationTable) -> int:
    """A proven upper bound of the rank of A(P0): p - 1, or p - 2 where E_k = k satisfies every equation."""
    sums = table.a + table.b
    low, high = (
        torch.zeros(table.num_results, dtype=torch.long, device=sums.device).scatter_reduce_(
            0, table.c, sums, extreme, include_self=False
        )
        for extreme in ("amin", "amax")
    )
    return table.p - (2 if torch.equal(low, high) else 1)


def full_nullity(table: OperationTable) -> int:
    """The nullity n0(D0) of the whole table, below which no training set gets; computed once a table.

    2 for addition, by translation and scale. 1 for addition in a finite abelian group, as every affine map from it to
    R^d is constant.
    """
    if table not in _FULL_NULLITY:
        _FULL_NULLITY[table] = int(ground_states(table).n0)
    return _FULL_NULLITY[table]


_FULL_NULLITY: WeakKeyDictionary[OperationTable, int] = WeakKeyDictionary()


@dataclass(frozen=True)
class Substitution:
    """What solving the equations of a batch of sample orders leaves, modulo a prime.

    Args:
        basis: each symbol's expression in the free symbols; column 0 is one random combination of the others. Columns
            beyond 1 + n0 are zero.
        n0: the number of free symbols.
        sizes: ``sizes[r]`` is the least number of leading samples whose equations have a rank above r; one more than
            there are samples if none has. So the rank of the first n samples is the number of entries <= n.
        modulus: the prime.
    """

    basis: Int[Tensor, "sets p columns"]
    n0: Int[Tensor, " sets"]
    sizes: Int[Tensor, "sets rank_bound"]
    modulus: int


def substitute(
    table: OperationTable,
    order: Int[Tensor, "sets n"],
    lengths: Int[Tensor, " sets"] | None = None,
    modulus: int = PRIMES[0],
    seed: int = 0,
) -> Substitution:
    """Solve the equations of the leading ``lengths`` samples of each order, sample by sample, modulo a prime.

    Whether an equation holds already is read off one random ground state. One that does not hold there is surely
    independent; one that does is dependent but for a chance of 1 / q.

    Args:
        table: the operation; it must commute.
        order: for each set, sample indices without repetition.
        lengths: how many of them count; None for all.
        modulus: a prime below 2^31.
        seed: of the random ground state.
    """
    sets, n = order.shape
    device, p, bound = order.device, table.p, rank_bound(table)
    lengths = order.new_full((sets,), n) if lengths is None else lengths
    first, second, c = table.a.to(device), table.b.to(device), table.c.to(device)
    bases = _class_bases(c[order], lengths, table.num_results)

    generator = torch.Generator().manual_seed(seed)
    probe = torch.randint(1, modulus, (sets, p, 1), generator=generator).to(device)
    basis = torch.cat([probe, torch.eye(p, dtype=torch.long, device=device).expand(sets, p, p)], dim=-1)
    n0 = order.new_full((sets,), p)
    sizes = order.new_full((sets, bound), n + 1)
    for start in range(0, int(lengths.max()) if sets else 0, WINDOW):
        window = order[:, start : start + WINDOW]
        base = order.gather(1, bases.gather(1, c[window]).clamp(max=n - 1))
        corners = torch.stack([first[window], second[window], first[base], second[base]])  # i, j, m, n
        live = torch.arange(start, start + window.shape[1], device=device) < lengths[:, None]
        pending = (n0 > p - bound).nonzero()[:, 0]
        while len(pending):
            violated = live[pending] & (_residual(basis[pending, :, 0], corners[:, pending]) % modulus != 0)
            hit = violated.any(dim=1)
            pending, violated = pending[hit], violated[hit]
            if not len(pending):
                break
            position = violated.byte().argmax(dim=1)
            sizes[pending, p - n0[pending]] = start + position + 1
            _solve_one(basis, n0, pending, corners[:, pending, position], modulus)
            basis = basis[..., : int(n0.max()) + 1]
            pending = pending[n0[pending] > p - bound]
        if bool((n0 == p - bound).all()):
            break
    return Substitution(basis, n0, sizes, modulus)


def _class_bases(
    c: Int[Tensor, "sets n"], lengths: Int[Tensor, " sets"], num_results: int
) -> Int[Tensor, "sets results"]:
    """The position of each class' first training sample; n where it has none."""
    sets, n = c.shape
    position = torch.arange(n, device=c.device).expand(sets, n)
    position = torch.where(position < lengths[:, None], position, n)
    return c.new_full((sets, num_results), n).scatter_reduce_(1, c, position, "amin")


def _residual(state: Int[Tensor, "sets p"], corners: Int[Tensor, "4 sets window"]) -> Int[Tensor, "sets window"]:
    """E_i + E_j - E_m - E_n in one ground state."""
    i, j, m, n = (state.gather(1, corner) for corner in corners)
    return i + j - m - n


def _solve_one(
    basis: Int[Tensor, "sets p columns"],
    n0: Int[Tensor, " sets"],
    which: Int[Tensor, " hits"],
    corners: Int[Tensor, "4 hits"],
    modulus: int,
) -> None:
    """Solve one equation in each of the sets ``which`` for one of its free symbols and substitute it, in place."""
    i, j, m, n = (basis[which, corner] for corner in corners)
    equation = (i + j - m - n) % modulus
    pivot = (equation[:, 1:] != 0).byte().argmax(dim=1) + 1
    leading = equation.gather(1, pivot[:, None])[:, 0]
    inverse = torch.tensor([pow(value, -1, modulus) for value in leading.tolist()], device=basis.device)
    equation = equation * inverse[:, None] % modulus
    coefficient = basis[which, :, pivot]
    hit, symbol = coefficient.nonzero(as_tuple=True)  # most symbols of a large table do not depend on the pivot
    rows = basis[which[hit], symbol] - coefficient[hit, symbol, None] * equation[hit]
    basis[which[hit], symbol] = rows % modulus
    last = n0[which]
    basis[which, :, pivot] = basis[which, :, last]
    basis[which, :, last] = 0
    n0[which] -= 1


def _ground_states(
    table: OperationTable, mask: Bool[Tensor, "sets samples"]
) -> tuple[Float[Tensor, "sets p"], Int[Tensor, " sets"], Bool[Tensor, "sets samples"], Int[Tensor, " sets"]]:
    """The fields of `GroundStates`, each set by the cheapest argument that proves them."""
    least = table.p - rank_bound(table)
    gram, peers = gram_and_peers(table, mask)
    values = torch.linalg.eigvalsh(gram)
    tol = ROUNDING * table.p * values[:, -1:].clamp(min=0)
    small = values <= tol
    n0 = small.sum(dim=-1)
    if table not in _FULL_NULLITY and bool((n0 == least).any()):
        _FULL_NULLITY[table] = least  # the whole table has more equations, and cannot get lower
    # At the least nullity the training set's ground states are the full table's, so only absent classes are unknown.
    inferable = peers > 0
    undecided = n0 > least
    if bool(undecided.any()):
        proven = _settled_by_gap(values, tol[:, 0], small)
        base, _ = _class_bases_of(table, mask)
        gap, rest = (undecided & proven).nonzero()[:, 0], (undecided & ~proven).nonzero()[:, 0]
        for some in gap.split(max(1, ENTRIES // (table.p * len(table)))) if len(gap) else ():
            inferable[some] &= _agree_by_gap(table, gram[some], n0[some], base[some])
        if len(rest):
            n0[rest], inferable[rest] = _by_substitution(table, mask[rest])
        small = torch.arange(table.p, device=values.device) < n0[:, None]
    parallelograms = (((peers - 1) * mask).sum(dim=-1) / 2).long()
    return values.masked_fill_(small, 0.0), n0, inferable, parallelograms


def _settled_by_gap(
    values: Float[Tensor, "sets p"], tol: Float[Tensor, " sets"], small: Bool[Tensor, "sets p"]
) -> Bool[Tensor, " sets"]:
    """Whether the eigenvalues that rounding explains are proven zero, and independence proven visible."""
    log_pdet = (values + tol[:, None]).masked_fill(small, 1.0).log().sum(dim=-1)
    smallest = values.masked_fill(small, torch.inf).amin(dim=-1)
    angle = tol / smallest  # by which rounding turns the null space
    # |w_perp| is below sqrt(8) * angle or above 1 / sqrt(pdet): far enough apart for a threshold between.
    return ((2 * tol).log() + log_pdet < 0) & (36 * angle**2 * log_pdet.exp() < 1)


def _agree_by_gap(
    table: OperationTable,
    gram: Float[Tensor, "sets p p"],
    n0: Int[Tensor, " sets"],
    base: Int[Tensor, "sets samples"],
) -> Bool[Tensor, "sets samples"]:
    """Whether |w_perp|² < 1 / (4 pdet G), w = u_s - u_t for each sample s and its class' base t."""
    values, vectors = torch.linalg.eigh(gram)
    null = torch.arange(table.p, device=gram.device) < n0[:, None]
    log_pdet = values.masked_fill(null, 1.0).log().sum(dim=-1, keepdim=True)
    vectors = vectors * null[:, None, :]
    combined = vectors[:, table.a.to(gram.device)] + vectors[:, table.b.to(gram.device)]
    based = combined.gather(1, base[..., None].expand_as(combined))
    return (combined - based).square_().sum(dim=-1) < 0.25 * (-log_pdet).exp()


def _by_substitution(
    table: OperationTable, mask: Bool[Tensor, "sets samples"]
) -> tuple[Int[Tensor, " sets"], Bool[Tensor, "sets samples"]]:
    """Nullity and inferable samples, modulo as many primes as a proof takes (see the top of this file)."""
    bound = rank_bound(table)
    order = (~mask).byte().argsort(dim=1, stable=True)
    lengths = mask.sum(dim=1)
    n0 = lengths.new_full((len(mask),), table.p + 1)
    inferable = torch.ones_like(mask)
    pending = torch.arange(len(mask), device=mask.device)
    proven_bits = 0.0
    for prime in PRIMES:
        for seed in itertools.count():
            solved = substitute(table, order[pending], lengths[pending], prime, seed)
            found = _inferable(table, mask[pending], solved)
            if bool((found | ~mask[pending]).all()):  # else the random ground state hid an equation
                break
        previous = n0[pending]
        better, same = (solved.n0 < previous)[:, None], (solved.n0 == previous)[:, None]
        inferable[pending] = torch.where(better, found, inferable[pending] & (found | ~same))
        n0[pending] = torch.minimum(previous, solved.n0)
        pending = pending[n0[pending] > table.p - bound]
        proven_bits += math.log2(prime)
        if not len(pending) or 1.5 * bound < proven_bits:
            break
    return n0, inferable


def _inferable(
    table: OperationTable, mask: Bool[Tensor, "sets samples"], solved: Substitution
) -> Bool[Tensor, "sets samples"]:
    """Which samples agree, in every ground state, with the first training sample of their class."""
    a, b = table.a.to(mask.device), table.b.to(mask.device)
    base, agree = _class_bases_of(table, mask)
    corners = torch.stack([a.expand(mask.shape), b.expand(mask.shape), a[base], b[base]])
    agree &= _residual(solved.basis[..., 0], corners) % solved.modulus == 0
    # Agreement in the random ground state is nearly proof; the whole basis decides.
    which, sample = agree.nonzero(as_tuple=True)
    chunk = max(1, ENTRIES // solved.basis.shape[-1])
    for part, index in zip(which.split(chunk), sample.split(chunk), strict=True):
        i, j, m, n = (solved.basis[part, corner] for corner in corners[:, part, index])
        agree[part, index] = ((i + j - m - n) % solved.modulus == 0).all(dim=1)
    return agree


def _class_bases_of(
    table: OperationTable, mask: Bool[Tensor, "sets samples"]
) -> tuple[Int[Tensor, "sets samples"], Bool[Tensor, "sets samples"]]:
    """For each sample the first training sample of its class, and whether there is one."""
    samples, c = len(table), table.c.to(mask.device)
    order = torch.arange(samples, device=mask.device)
    bases = order.new_full((len(mask), table.num_results), samples)
    bases.scatter_reduce_(1, c.expand(mask.shape), torch.where(mask, order, samples), "amin")
    base = bases[:, c]
    present = base < samples
    return base.clamp_(max=samples - 1), present
