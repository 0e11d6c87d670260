"""Norms and angles of gradients, margins, and losses of zero, against one vector and against loops."""

import pytest
import torch
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.metrics import cosine, logit_margins, total_norm, zero_loss_share


def test_as_one_vector():
    draws = torch.Generator().manual_seed(0)
    first, second = ([torch.randn(2, 3, generator=draws), torch.randn(5, generator=draws)] for _ in range(2))
    one, other = (torch.cat([tensor.flatten() for tensor in tensors]) for tensors in (first, second))
    assert float(total_norm(first)) == pytest.approx(float(one.norm()))
    assert float(cosine(first, second)) == pytest.approx(float(F.cosine_similarity(one, other, dim=0)), abs=1e-6)
    assert float(cosine(first, [-2 * tensor for tensor in first])) == pytest.approx(-1)
    assert float(total_norm([None])) == 0
    assert cosine(first, [None, None]).isnan()


def test_margins_against_a_loop():
    outputs = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    classes = torch.arange(50) % 4
    expected = [
        float(row[c]) - max(float(row[k]) for k in range(4) if k != c)
        for row, c in zip(outputs, classes.tolist(), strict=True)
    ]
    assert logit_margins(outputs, classes).tolist() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(UserError, match="two classes"):
        logit_margins(outputs[:, :1], torch.zeros(50, dtype=torch.long))


def test_softmax_collapse():
    """From a margin of 17 on, the softmax of single precision rounds to 1, of double precision it does not."""
    outputs, classes = torch.tensor([[0.0, 30.0], [0.0, 10.0]]), torch.tensor([1, 1])
    losses = F.cross_entropy(outputs, classes, reduction="none")
    assert float(zero_loss_share(losses)) == 0.5
    assert float(zero_loss_share(F.cross_entropy(outputs.double(), classes, reduction="none"))) == 0
