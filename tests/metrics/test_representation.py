import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.metrics import Criterion, Representation, add, matrix_product, published_criterion
from grokking_pl.models import PermutationModel, ToyModel
from grokking_pl.sizes import Sizes
from tests.shapes import unchecked


def test_matrix_product_reads_rows():
    left, right = torch.randn(2, 5, 9), torch.randn(2, 5, 9)
    product = matrix_product(left, right)
    assert product.shape == (2, 5, 9)
    expected = left[1, 3].view(3, 3) @ right[1, 3].view(3, 3)
    assert torch.allclose(product[1, 3], expected.flatten(), atol=1e-6)


def test_matrix_product_needs_a_square():
    with pytest.raises(UserError, match="d is 8; try 4 or 9"):
        matrix_product(torch.zeros(3, 8), torch.zeros(3, 8))


@pytest.mark.parametrize("embeddings", [torch.zeros(3), torch.zeros(3, 2, dtype=torch.long)])
def test_not_a_representation(embeddings):
    with unchecked(), pytest.raises(UserError, match="expected a floating-point tensor"):
        Representation(embeddings)


def test_shapes():
    representation = Representation(torch.zeros(4, 2, 10, 3))
    assert representation.batch == (4, 2)
    assert representation.p == 10
    assert representation.combine is add


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_exact_refuses_what_is_not_finite(bad):
    embeddings = torch.zeros(2, 3, 1)
    embeddings[0, 2] = bad
    embeddings[1, 1] = -bad
    with pytest.raises(UserError, match="in 2 of 2 representations"):
        Representation(embeddings).exact()
    with pytest.raises(UserError, match="infinite: training diverged"):
        Representation(embeddings[0]).exact()


def test_exact_accepts_numbers_whose_sum_overflows():
    embeddings = torch.full((4, 1), 1e308, dtype=torch.float64)
    assert torch.equal(Representation(embeddings).exact().embeddings[0], embeddings)


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
