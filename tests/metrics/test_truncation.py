"""Embeddings truncated to principal components, against the eigenvectors of their covariance."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.metrics import truncated_embeddings
from grokking_pl.metrics.truncation import most_components


@given(p=st.integers(2, 9), d=st.integers(1, 9), k=st.integers(1, 12), seed=st.integers(0, 1000))
def test_projection_on_the_largest_eigenvectors_of_the_covariance(p, d, k, seed):
    x = np.random.default_rng(seed).normal(size=(p, d)) + 3
    centred = x - x.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    first = vectors[:, ::-1][:, :k]
    expected = centred @ first @ first.T + x.mean(0)
    (truncated,) = truncated_embeddings(torch.from_numpy(x), [k])
    np.testing.assert_allclose(truncated.numpy(), expected, atol=1e-9)


@given(p=st.integers(2, 9), d=st.integers(1, 9), seed=st.integers(0, 1000))
def test_all_components_are_the_embeddings_to_the_bit_and_the_mean_stays(p, d, seed):
    x = torch.randn(p, d, generator=torch.Generator().manual_seed(seed))
    truncated = truncated_embeddings(x, range(1, d + 1))
    assert truncated.dtype == x.dtype
    for k in range(1, d + 1):
        torch.testing.assert_close(truncated[k - 1].mean(0), x.mean(0))
        assert torch.linalg.matrix_rank(truncated[k - 1].double() - x.double().mean(0), rtol=1e-4) <= k
        if k >= most_components(x):
            assert torch.equal(truncated[k - 1], x)


def test_mistakes():
    with pytest.raises(UserError, match="truncated to 0 principal components"):
        truncated_embeddings(torch.rand(3, 2), [1, 0])
    with pytest.raises(UserError, match="nan or infinite"):
        truncated_embeddings(torch.full((3, 2), torch.nan), [1])
