"""The spectrum over pairs of elements of a group, against the entries of the representations' matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import character_table, group_pair_spectrum, neuron_irreps, pair_spectrum
from grokking_pl.tasks import addition, modular_addition, permutation_group, symmetric_group
from tests.metrics.groups import representations

S3, S5 = symmetric_group(3), symmetric_group(5)


def drawn(p, n, seed=0):
    return torch.randn(p, p, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("table", "n"), [(S3, 3), (S5, 5)])
def test_against_matrix_entries(table, n):
    """sqrt(d / p) rho_ij(g) are orthonormal functions on the group (Peter and Weyl)."""
    matrices, numbers = representations(table, n)
    values = drawn(table.p, 2)
    power = group_pair_spectrum(values, table)
    assert float(power.sum()) == pytest.approx(float(values.square().sum()))
    functions = {name: (rho.shape[1] / table.p) ** 0.5 * rho.flatten(1) for name, rho in matrices.items()}
    for left, first in functions.items():
        for right, second in functions.items():
            expected = torch.einsum("ai,bj,abn->ijn", first, second, values).square().sum((0, 1))
            assert torch.allclose(power[numbers[left], numbers[right]], expected, atol=1e-9)


@given(p=st.integers(2, 9), seed=st.integers(0, 100))
@settings(max_examples=15)
def test_cyclic_group_has_the_fourier_spectrum(p, seed):
    table, values = modular_addition(p), drawn(p, 2, seed)
    group, power = character_table(table), group_pair_spectrum(values, table)
    frequency = (group.characters[:, group.classes[1]].angle() / (2 * torch.pi) * p).round().abs().long()
    count = p // 2 + 1
    together = torch.zeros(count, p, 2, dtype=torch.float64).index_add_(0, frequency, power)
    together = torch.zeros(count, count, 2, dtype=torch.float64).index_add_(1, frequency, together)
    assert torch.allclose(together, pair_spectrum(values), atol=1e-9)


def test_functions_of_the_product_are_on_the_diagonal():
    for table in (S3, permutation_group([[1, 2, 0, 3], [1, 0, 3, 2]])):
        group = character_table(table)
        values = torch.randn(table.p, 4, generator=torch.Generator().manual_seed(0))[group.products]
        power = group_pair_spectrum(values, table)
        assert float(power.sum((0, 1, 2))) == pytest.approx(float(power.sum(2).diagonal().sum()), rel=1e-5)


def test_noise_has_the_squared_dimensions():
    power = group_pair_spectrum(drawn(120, 40).float(), S5).mean(2)
    squares = character_table(S5).dimensions.square().float()
    assert torch.allclose(power[2:, 2:], torch.outer(squares, squares)[2:, 2:], rtol=0.1)


def test_neurons():
    matrices, numbers = representations(S5, 5)
    rho, tau = matrices["standard"], matrices["exterior"]
    left, right = rho[:, 0, 1][:, None], rho[:, 2, 2]
    one = left + right + left * right
    mixed = one + tau[:, 0, 0][:, None].expand(120, 120)
    neurons = neuron_irreps(torch.stack([one, mixed, torch.full_like(one, 0.3)], 2), S5)
    assert neurons.irrep.tolist() == [numbers["standard"]] * 2 + [0]
    of_one, of_tau = float(one.square().mean()), float(tau[:, 0, 0].square().mean())
    assert neurons.share.tolist() == pytest.approx([1, of_one / (of_one + of_tau), 0], abs=1e-9)


def test_neurons_of_complex_representations():
    """The frequency of a cyclic group's neuron is two representations, which count as one."""
    p = 7
    table, angles = modular_addition(p), 2 * torch.pi * 2 * torch.arange(p) / p
    neuron = angles.cos()[:, None] + angles.sin() + (angles[:, None] + angles + 0.3).cos()
    found = neuron_irreps(neuron[..., None], table)
    group = character_table(table)
    assert float(found.share) == pytest.approx(1, abs=1e-5)
    character = group.characters[int(found.irrep), group.classes[1]]
    assert abs(float(character.angle())) == pytest.approx(2 * torch.pi * 2 / p)


def test_mistakes():
    with pytest.raises(UserError, match="nan"):
        group_pair_spectrum(torch.full((6, 6, 1), torch.nan), S3)
    with pytest.raises(UserError, match=r"the values are of \(5, 5\) pairs, but .* has 6 elements"):
        neuron_irreps(drawn(5, 1), S3)
    with pytest.raises(UserError, match="is not a group operation"):
        group_pair_spectrum(drawn(5, 1), addition(5))
