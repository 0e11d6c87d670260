"""Representations: their shapes, how embeddings are combined, and what is refused."""

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.metrics import Representation, add, matrix_product
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
