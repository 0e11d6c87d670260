"""The effective dimension, against numpy's principal components in plain form."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import EffectiveDimension, Representation, effective_dimension, explained_variance, pca_entropy


def brute_force(embeddings):
    centred = embeddings - embeddings.mean(0)
    squares = np.linalg.svd(centred, compute_uv=False) ** 2
    return [s / squares.sum() for s in squares]


@settings(max_examples=60, deadline=None)
@given(p=st.integers(2, 7), d=st.integers(1, 7), seed=st.integers(0, 1000))
def test_against_singular_values(p, d, seed):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(2, 3, p, d, dtype=torch.float64, generator=generator) * 10.0 ** (seed % 9 - 4) + seed
    fractions, entropy = explained_variance(embeddings), pca_entropy(embeddings)
    assert fractions.shape == (2, 3, min(p, d))
    for i in range(2):
        for j in range(3):
            expected = brute_force(embeddings[i, j].numpy())
            assert fractions[i, j].tolist() == pytest.approx(expected, abs=1e-6)
            assert float(entropy[i, j]) == pytest.approx(-sum(f * math.log(f) for f in expected if f > 1e-9), abs=1e-5)
    dimension = effective_dimension(embeddings)
    assert torch.allclose(dimension, entropy.exp())
    assert (dimension > 1 - 1e-9).all()
    assert (dimension < min(p - 1, d) + 1e-6).all()


def test_isotropic_embeddings_reach_the_bound():
    cube = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    assert effective_dimension(cube).item() == pytest.approx(3, rel=1e-6)
    simplex = torch.eye(4, 9)
    assert effective_dimension(simplex).item() == pytest.approx(3, rel=1e-6)


def test_a_line_has_dimension_one():
    line = torch.arange(10.0)[:, None] * torch.tensor([1.0, -2.0, 0.5]) + 7
    assert effective_dimension(line).item() == pytest.approx(1, abs=1e-6)


def test_equal_embeddings():
    embeddings = torch.full((2, 5, 3), 0.1)
    assert explained_variance(embeddings).tolist() == [[0.0] * 3] * 2
    assert pca_entropy(embeddings).tolist() == [0.0, 0.0]
    assert effective_dimension(embeddings).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_does_not_matter(scale):
    embeddings = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert effective_dimension(embeddings * scale).item() == pytest.approx(effective_dimension(embeddings).item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_precision(dtype):
    value = effective_dimension(torch.eye(4, dtype=dtype, requires_grad=True))
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert value.item() == pytest.approx(3)


def test_not_finite():
    embeddings = torch.zeros(3, 4, 2)
    embeddings[1, 0, 0] = torch.nan
    with pytest.raises(UserError, match="nan or infinite in 1 of 3 representations"):
        effective_dimension(embeddings)


def test_metric_is_the_mean_since_the_reset():
    metric = EffectiveDimension()
    metric.update(Representation(torch.eye(4)))
    assert metric.compute().item() == pytest.approx(3)
    metric.update(Representation(torch.arange(4.0)[:, None].expand(2, 4, 1)))
    assert metric.compute().item() == pytest.approx(5 / 3)
    metric.reset()
    metric.update(Representation(torch.eye(3)))
    assert metric.compute().item() == pytest.approx(2)
