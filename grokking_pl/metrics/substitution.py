"""Solution of a training set's parallelogram equations modulo a prime, which proves their rank.

With one training sample t as the base of each class, the equations (u_s - u_t)^T E = 0 are solved by substitution
modulo a prime q near 2^31: every symbol starts free; an equation that does not hold yet expresses one free symbol by
the others, and is substituted. The number of symbols still free at the end is n0 = p - rank.

Equations independent modulo q are independent over the rationals: the rank is never too high. It is too low only if q
divides all non-zero minors of the right order r. A row has norm at most sqrt(8), so by Hadamard's inequality these are
at most 8^(r/2): one prime proves every rank up to p = 22, and the four of `PRIMES` every rank up to p = 84. Beyond
that, a rank is wrong only if all of these 31-bit primes divide every such minor.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.metrics.once_per_table import once_per_table
from grokking_pl.tasks import OperationTable

PRIMES = (2**31 - 1, 2**31 - 19, 2**31 - 61, 2**31 - 69)
WINDOW = 1024
"""Number of samples of an order processed together."""


@dataclass(frozen=True)
class Substitution:
    """Solution of the equations of a batch of sample orders, modulo a prime.

    Args:
        basis: expression of each symbol in the free symbols; column 0 is a random combination of the others. Columns
            beyond 1 + n0 are zero.
        n0: number of free symbols.
        sizes: ``sizes[r]`` is the least number of leading samples whose equations have a rank above r; the number of
            samples plus 1 if there is none. So the rank of the first n samples is the number of entries <= n.
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

    Whether an equation already holds is read off one random ground state. One that does not hold there is certainly
    independent; one that holds is dependent except with probability 1 / q.

    Args:
        table: the operation; it must commute.
        order: for each set, distinct sample indices.
        lengths: number of leading samples of each order in the training set; None for all.
        modulus: a prime below 2^31.
        seed: seed of the random ground state.
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
        in_train = torch.arange(start, start + window.shape[1], device=device) < lengths[:, None]
        unsolved = (n0 > p - bound).nonzero()[:, 0]
        while len(unsolved):
            violated = in_train[unsolved] & (residual(basis[unsolved, :, 0], corners[:, unsolved]) % modulus != 0)
            violates = violated.any(dim=1)
            unsolved, violated = unsolved[violates], violated[violates]
            if not len(unsolved):
                break
            position = violated.byte().argmax(dim=1)
            sizes[unsolved, p - n0[unsolved]] = start + position + 1
            _solve_one(basis, n0, unsolved, corners[:, unsolved, position], modulus)
            basis = basis[..., : int(n0.max()) + 1]
            unsolved = unsolved[n0[unsolved] > p - bound]
        if bool((n0 == p - bound).all()):
            break
    return Substitution(basis, n0, sizes, modulus)


def _class_bases(
    c: Int[Tensor, "sets n"], lengths: Int[Tensor, " sets"], num_results: int
) -> Int[Tensor, "sets results"]:
    """The position of the first training sample of each class; n if there is none."""
    sets, n = c.shape
    position = torch.arange(n, device=c.device).expand(sets, n)
    position = torch.where(position < lengths[:, None], position, n)
    return c.new_full((sets, num_results), n).scatter_reduce_(1, c, position, "amin")


def residual(state: Int[Tensor, "sets p"], corners: Int[Tensor, "4 sets n"]) -> Int[Tensor, "sets n"]:
    """E_i + E_j - E_m - E_n in one ground state per set, for the corners (i, j, m, n) of n equations."""
    i, j, m, n = (state.gather(1, corner) for corner in corners)
    return i + j - m - n


def _solve_one(
    basis: Int[Tensor, "sets p columns"],
    n0: Int[Tensor, " sets"],
    sets: Int[Tensor, " chosen"],
    corners: Int[Tensor, "4 chosen"],
    modulus: int,
) -> None:
    """In each chosen set, solve one equation for one of its free symbols and substitute it, in place."""
    i, j, m, n = (basis[sets, corner] for corner in corners)
    equation = (i + j - m - n) % modulus
    pivot = (equation[:, 1:] != 0).byte().argmax(dim=1) + 1
    leading = equation.gather(1, pivot[:, None])[:, 0]
    inverse = torch.tensor([pow(value, -1, modulus) for value in leading.tolist()], device=basis.device)
    equation = equation * inverse[:, None] % modulus
    coefficient = basis[sets, :, pivot]
    dependent, symbol = coefficient.nonzero(as_tuple=True)  # in large tables most symbols do not depend on the pivot
    rows = basis[sets[dependent], symbol] - coefficient[dependent, symbol, None] * equation[dependent]
    basis[sets[dependent], symbol] = rows % modulus
    last = n0[sets]
    basis[sets, :, pivot] = basis[sets, :, last]
    basis[sets, :, last] = 0
    n0[sets] -= 1


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
