"""Matrices of irreducible representations of symmetric groups, written out from permutations."""

import itertools

import torch

from grokking_pl.metrics import character_table


def parity(element):
    return 1 - 2 * (sum(element[i] > element[j] for i, j in itertools.combinations(range(len(element)), 2)) % 2)


def representations(table, n):
    """By name, orthogonal matrices of each element of S_n, (n!, d, d); and the number of each by its character.

    ``standard`` is that of permutation matrices less the trivial one, ``exterior`` its second exterior power.
    """
    elements = [tuple(map(int, symbol)) for symbol in table.symbols]
    sign = torch.tensor([parity(element) for element in elements], dtype=torch.float64)[:, None, None]
    permutations = torch.nn.functional.one_hot(torch.tensor(elements), n).double()
    draws = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.cat([torch.ones(n, 1), torch.randn(n, n - 1, generator=draws)], 1).double())[0]
    standard = (basis.T @ permutations @ basis)[:, 1:, 1:]
    found = {"trivial": torch.ones_like(sign), "sign": sign, "standard": standard}
    if n > 3:
        found["turned"] = sign * standard
        pairs = list(itertools.combinations(range(n - 1), 2))
        found["exterior"] = torch.stack(
            [
                torch.stack([standard[:, i, k] * standard[:, j, l] - standard[:, i, l] * standard[:, j, k]], 1)
                for i, j in pairs
                for k, l in pairs  # noqa: E741
            ],
            2,
        ).view(len(elements), len(pairs), len(pairs))
    group = character_table(table)
    values = group.characters[:, group.classes].real
    numbers = {}
    for name, matrices in found.items():
        assert torch.allclose(matrices[table.a] @ matrices[table.b], matrices[table.c], atol=1e-9) or torch.allclose(
            matrices[table.b] @ matrices[table.a], matrices[table.c], atol=1e-9
        )
        character = matrices.diagonal(dim1=1, dim2=2).sum(1)
        (numbers[name],) = [k for k, chi in enumerate(values) if torch.allclose(chi, character, atol=1e-9)]
    return found, numbers
