"""Characters against the orthogonality relations and known tables; power against matrices of the representations."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import character_table, fourier_power, irrep_power
from grokking_pl.tasks import (
    addition,
    from_operation,
    modular_addition,
    modular_multiplication,
    permutation_group,
    symmetric_group,
    symmetric_group_conjugation,
)

QUATERNIONS = [[1, 2, 3, 0, 5, 6, 7, 4], [4, 7, 6, 5, 2, 1, 0, 3]]
GROUPS = {
    "S3": symmetric_group(3), "S4": symmetric_group(4), "S5": symmetric_group(5), "Z12": modular_addition(12),
    "Q8": permutation_group(QUATERNIONS), "A4": permutation_group([[1, 2, 0, 3], [1, 0, 3, 2]]),
    "D5": permutation_group([[1, 2, 3, 4, 0], [0, 4, 3, 2, 1]]),
}  # fmt: skip
DIMENSIONS = {
    "S3": [1, 1, 2], "S4": [1, 1, 2, 3, 3], "S5": [1, 1, 4, 4, 5, 5, 6], "Z12": [1] * 12, "Q8": [1, 1, 1, 1, 2],
    "A4": [1, 1, 1, 3], "D5": [1, 1, 2, 2],
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_orthogonality_relations(name):
    table, group = GROUPS[name], character_table(GROUPS[name])
    assert group.dimensions.tolist() == DIMENSIONS[name]
    assert torch.allclose(group.characters[0], torch.ones_like(group.characters[0]))
    values = group.characters[:, group.classes]  # of every element
    rows = values @ values.mH / table.p
    assert torch.allclose(rows, torch.eye(len(rows), dtype=rows.dtype), atol=1e-9)
    columns = group.characters.mH @ group.characters
    centralisers = table.p / torch.bincount(group.classes).double()
    assert torch.allclose(columns, torch.diag(centralisers).to(columns.dtype), atol=1e-8)
    # Characters are class functions that multiply on one-dimensional representations.
    for chi in values[group.dimensions == 1]:
        assert torch.allclose(chi[table.a] * chi[table.b], chi[table.c], atol=1e-9)


def parity(element):
    return 1 - 2 * (sum(element[i] > element[j] for i, j in itertools.combinations(range(len(element)), 2)) % 2)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_characters_of_permutations(n):
    """The sign, and the matrices of permutations less the trivial representation, of dimension n - 1."""
    table, group = GROUPS[f"S{n}"], character_table(GROUPS[f"S{n}"])
    elements = [tuple(map(int, symbol)) for symbol in table.symbols]
    sign = torch.tensor([parity(element) for element in elements], dtype=torch.complex128)
    fixed = torch.tensor([sum(i == k for i, k in enumerate(element)) - 1 for element in elements])
    values = group.characters[:, group.classes]
    assert torch.allclose(values[1], sign, atol=1e-9)
    for wanted in (fixed.to(sign), sign * fixed):
        assert any(torch.allclose(chi, wanted, atol=1e-9) for chi in values)


def test_power_by_matrices_of_the_representation():
    """The entries of the matrices of a representation, mixed at random, have all their power there."""
    draws = torch.Generator().manual_seed(0)
    for n in (3, 4):
        table, group = GROUPS[f"S{n}"], character_table(GROUPS[f"S{n}"])
        elements = torch.tensor([list(map(int, symbol)) for symbol in table.symbols])
        matrices = torch.nn.functional.one_hot(elements, n).double()
        basis = torch.linalg.qr(torch.cat([torch.ones(n, 1), torch.randn(n, n - 1, generator=draws)], 1).double())[0]
        standard = (basis.T @ matrices @ basis)[:, 1:, 1:]
        power = irrep_power(standard.flatten(1) @ torch.randn((n - 1) ** 2, 4, generator=draws).double(), table)
        values = group.characters[:, group.classes]
        character = standard.diagonal(dim1=1, dim2=2).sum(1).to(values)
        which = [int(torch.allclose(chi, character, atol=1e-9)) for chi in values].index(1)
        assert power.tolist() == pytest.approx([float(k == which) for k in range(len(power))], abs=1e-9)


@given(p=st.integers(2, 12), seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_cyclic_group_has_the_fourier_spectrum(p, seed):
    table = modular_addition(p)
    embeddings = torch.randn(2, p, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    group, power = character_table(table), irrep_power(embeddings, table)
    frequency = (group.characters[:, group.classes[1]].angle() / (2 * torch.pi) * p).round().abs().long()
    together = torch.zeros(2, p // 2 + 1, dtype=torch.float64).index_add_(1, frequency, power)
    assert torch.allclose(together[:, 1:], fourier_power(embeddings), atol=1e-9)
    assert torch.allclose(power[:, 0], torch.zeros(2, dtype=torch.float64))


def test_random_embeddings_have_the_share_of_the_dimension():
    table = GROUPS["S5"]
    embeddings = torch.randn(20, 120, 50, generator=torch.Generator().manual_seed(0))
    power = irrep_power(embeddings, table).mean(0)
    expected = character_table(table).dimensions.square()[1:] / 119
    assert torch.allclose(power[1:], expected.float(), atol=0.01)
    assert float(power.sum()) == pytest.approx(1, abs=1e-5)
    assert not irrep_power(torch.full((120, 2), 0.1), table).any()


@pytest.mark.parametrize(
    "table",
    [
        addition(5),
        symmetric_group_conjugation(3),
        from_operation(lambda a, b: (a - b) % 5, 5),
        modular_multiplication(6),
    ],
    ids=lambda table: table.name,
)
def test_what_is_no_group(table):
    with pytest.raises(UserError, match="is not a group operation"):
        character_table(table)


def test_other_number_of_embeddings():
    with pytest.raises(UserError, match="there are 5 embeddings, but"):
        irrep_power(torch.zeros(5, 2), GROUPS["S3"])
