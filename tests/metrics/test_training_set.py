"""Training sets as masks and as indices, one or a batch of them, and what is refused."""

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.metrics.training_set import training_mask
from grokking_pl.tasks import addition


def test_indices_are_a_mask():
    mask = training_mask(addition(3), torch.tensor([[5, 1], [0, 2]]))
    assert mask.tolist() == [[False, True, False, False, False, True], [True, False, True, False, False, False]]
    assert torch.equal(training_mask(addition(3), mask), mask)
    assert training_mask(addition(3)).all()
    assert not training_mask(addition(3), torch.tensor([], dtype=torch.long)).any()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (torch.ones(4, dtype=torch.bool), "expected 6 entries"),
        (torch.tensor([0, 6]), "expected 0 to 5"),
        (torch.tensor([-1]), "expected 0 to 5"),
        (torch.tensor([1, 1]), "repeated"),
        (torch.tensor([0.5]), "mask or sample indices"),
        (torch.tensor([1j]), "mask or sample indices"),
        (torch.tensor(3), r"shape \(\).*mask or sample indices"),
    ],
)
def test_what_is_no_training_set_is_refused(train, message):
    with pytest.raises(UserError, match=message):
        training_mask(addition(3), train)
