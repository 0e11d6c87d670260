"""The tangent kernel and the largest eigenvalue of the Hessian, against whole matrices by autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

from grokking_pl.errors import UserError
from grokking_pl.metrics import kernel_change, largest_eigenvalue, sharpness, tangent_kernel
from grokking_pl.models import ToyModel, Transformer
from grokking_pl.sizes import Sizes

SIZES = Sizes(inputs=2, outputs=4, symbols=5)
PAIRS = torch.tensor([[0, 1], [2, 2], [4, 0]])
NETWORKS = {
    "toy": lambda: ToyModel(SIZES, embedding_dim=2, depth=2, width=4),
    "transformer": lambda: Transformer(
        SIZES, layers=1, heads=2, width=4, mlp_ratio=1, readout="last", equals=True, norm="none"
    ),
}


def jacobian(network, inputs):
    """By outputs and weights, of every input; one backward pass for each number."""
    rows = []
    for outputs in network(inputs):
        per_output = []
        for number in outputs:
            gradients = torch.autograd.grad(
                number, list(network.parameters()), retain_graph=True, materialize_grads=True
            )
            per_output.append(torch.cat([gradient.flatten() for gradient in gradients]))
        rows.append(torch.stack(per_output))
    return torch.stack(rows)


@pytest.mark.parametrize("name", NETWORKS)
def test_kernel_against_jacobians(name):
    torch.manual_seed(0)
    network = NETWORKS[name]()
    whole = jacobian(network, PAIRS).double()
    expected = torch.einsum("iop,jop->ij", whole, whole)
    assert torch.allclose(tangent_kernel(network, PAIRS), expected, rtol=1e-4)
    part = torch.einsum("iop,jop->ij", whole[:, [0, 3]], whole[:, [0, 3]])
    assert torch.allclose(tangent_kernel(network, PAIRS, [0, 3]), part, rtol=1e-4)
    assert all(weight.grad is None for weight in network.parameters())


def test_kernel_of_a_linear_network_is_fixed():
    inputs = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    layer = nn.Linear(3, 2)
    kernel = tangent_kernel(layer, inputs)
    assert torch.allclose(kernel, 2 * (inputs @ inputs.T + 1).double(), rtol=1e-5)
    layer.weight.data.mul_(5)
    assert float(kernel_change(tangent_kernel(layer, inputs), kernel)) == pytest.approx(0, abs=1e-6)


def test_change():
    first, other = torch.diag(torch.tensor([1.0, 0.0])), torch.diag(torch.tensor([0.0, 2.0]))
    assert float(kernel_change(first, other)) == 1
    assert float(kernel_change(torch.eye(2), first)) == pytest.approx(1 - 2**-0.5)
    with pytest.raises(UserError, match="zero or not finite"):
        kernel_change(first, torch.zeros(2, 2))


def test_mistakes():
    with pytest.raises(UserError, match="outputs 0 to 1"):
        tangent_kernel(nn.Linear(3, 2), torch.zeros(1, 3), [2])
    x = torch.tensor([0.0], requires_grad=True)
    with pytest.raises(UserError, match="nan or infinite"):
        sharpness(lambda: (1 / x).sum(), [x])
    with pytest.raises(UserError, match="iterations is 0"):
        largest_eigenvalue(lambda vector: vector, torch.zeros(2), 0)


@given(n=st.integers(1, 12), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_eigenvalue_against_the_whole_matrix(n, seed):
    matrix = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    matrix = matrix + matrix.T
    found = largest_eigenvalue(lambda vector: matrix @ vector, torch.zeros(n, dtype=torch.float64), tolerance=1e-9)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]), abs=1e-7)


def test_eigenvalues_that_are_multiple_or_one_sided():
    assert largest_eigenvalue(lambda vector: 3 * vector, torch.zeros(9)) == pytest.approx(3, rel=1e-5)
    assert largest_eigenvalue(lambda vector: -2 * vector, torch.zeros(9)) == pytest.approx(-2, rel=1e-5)
    assert largest_eigenvalue(lambda vector: 0 * vector, torch.zeros(9)) == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_sharpness_against_the_whole_hessian(name):
    torch.manual_seed(1)
    network = NETWORKS[name]().double()
    names, weights = zip(*network.named_parameters(), strict=True)
    targets = torch.tensor([1, 3, 0])

    def loss(*weights):
        outputs = functional_call(network, dict(zip(names, weights, strict=True)), (PAIRS,))
        return nn.functional.cross_entropy(outputs, targets)

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        blocks = torch.autograd.functional.hessian(loss, weights, vectorize=True)
        rows = [
            torch.cat([block.reshape(weight.numel(), -1) for block in row], 1)
            for row, weight in zip(blocks, weights, strict=True)
        ]
        expected = float(torch.linalg.eigvalsh(torch.cat(rows))[-1])
        assert sharpness(lambda: loss(*weights), weights, 60, 1e-6) == pytest.approx(expected, rel=1e-4)


def test_sharpness_of_what_is_linear():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert sharpness(lambda: x.sum(), [x]) == 0
