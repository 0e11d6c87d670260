"""When two combined vectors count as equal: normalisations, norms at the threshold, the published criteria."""

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.metrics import Criterion, Representation, add, matrix_product, published_criterion
from grokking_pl.models import PermutationModel, ToyModel
from grokking_pl.sizes import Sizes


def test_standardise():
    embeddings = torch.randn(3, 6, 4, dtype=torch.float64) * 5 + 2
    normal = Criterion().normalise(embeddings)
    expected = (embeddings - embeddings.mean(1, keepdim=True)) / embeddings.std(1, keepdim=True)
    assert torch.allclose(normal, expected)
    constant = Criterion().normalise(torch.full((6, 4), 0.1, dtype=torch.float64))
    assert torch.equal(constant, torch.zeros(6, 4, dtype=torch.float64))


def test_rms():
    criterion = Criterion(0.5, normalisation="rms")
    embeddings = torch.randn(3, 6, 4, dtype=torch.float64)
    normal = criterion.normalise(embeddings)
    assert torch.allclose(normal.square().mean((1, 2)), torch.ones(3, dtype=torch.float64))
    assert torch.allclose(normal[1] / embeddings[1], (normal[1] / embeddings[1])[0, 0])
    assert torch.equal(criterion.normalise(torch.zeros(2, 2)), torch.zeros(2, 2))


def test_norms_at_the_threshold():
    difference = torch.tensor([[3.0, 4.0], [0.0, 5.0], [0.0, 5.001]])
    assert Criterion(5.0, "euclidean", None).holds(difference).tolist() == [True, True, False]
    assert Criterion(12.5, "mean_square", None).holds(difference).tolist() == [False, False, False]
    assert Criterion(12.51, "mean_square", None).holds(difference).tolist() == [True, True, True]


def test_published_criteria():
    additive, product = Criterion(0.01, "mean_square", "standardise"), Criterion(0.5, "mean_square", "rms")
    embeddings = torch.rand(3, 4)
    assert published_criterion(Representation(embeddings, add)) == additive
    assert published_criterion(Representation(embeddings, lambda left, right: (left + right) / 2)) == additive
    assert published_criterion(Representation(embeddings, matrix_product)) == product
    sizes = Sizes(inputs=2, outputs=3, symbols=6)
    assert published_criterion(Representation(embeddings, PermutationModel(sizes, embedding_dim=4).combine)) == product
    assert published_criterion(Representation(embeddings, ToyModel(sizes, embedding_dim=4).combine)) == additive


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0,), "threshold is -1"),
        ((float("nan"),), "threshold is nan"),
        ((0.0,), "set norm to 'euclidean'"),
        ((1.0, "cosine"), "expected 'mean_square' or 'euclidean'"),
        ((1.0, "euclidean", "unit"), "expected 'standardise', 'rms' or None"),
    ],
)
def test_criterion_errors(arguments, message):
    with pytest.raises(UserError, match=message):
        Criterion(*arguments)
