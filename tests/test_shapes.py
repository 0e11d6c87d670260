"""A wrong shape is an error while testing, wherever the package is given one or returns one."""

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn

from grokking_pl.callbacks import PhaseTracker
from grokking_pl.errors import UserError
from grokking_pl.metrics import Representation
from grokking_pl.models import ToyModel
from grokking_pl.sizes import Sizes
from grokking_pl.tasks import addition
from grokking_pl.theory import normalised
from grokking_pl.training import CrossEntropy, objective
from tests.shapes import unchecked


def test_two_arguments_that_do_not_fit():
    right = torch.zeros(3, dtype=torch.long)
    assert objective.is_correct(right, right).all()
    with pytest.raises(TypeCheckError, match="batch"):
        objective.is_correct(right, torch.zeros(1, dtype=torch.long))  # which torch would broadcast


def test_too_few_dimensions():
    with pytest.raises(TypeCheckError, match="embeddings"):
        normalised(torch.zeros(4))


def test_wrong_kind_of_number():
    model = ToyModel(Sizes(inputs=2, outputs=3, symbols=5))
    with pytest.raises(TypeCheckError, match="pairs"):
        model(torch.zeros(7, 2))


def test_result():
    model = ToyModel(Sizes(inputs=2, outputs=3, symbols=5))
    pairs = torch.zeros(7, 2, dtype=torch.long)
    assert model(pairs).shape == (7, 3)
    model.decoder = nn.Flatten(0)
    with pytest.raises(TypeCheckError, match="return value"):
        model(pairs)


def test_dataclass():
    with pytest.raises(TypeCheckError, match="embeddings"):
        Representation(torch.zeros(4))


def test_unchecked_reaches_the_error_of_the_package():
    with unchecked(), pytest.raises(UserError):
        Representation(torch.zeros(4))
    with pytest.raises(TypeCheckError):
        Representation(torch.zeros(4))


def test_compiled_and_mapped_functions_are_one_graph():
    outputs, targets = torch.randn(6, 4, 3), torch.randint(3, (6, 4))
    losses = torch.func.vmap(lambda outputs, targets: objective.sample_losses(CrossEntropy(), outputs, targets))
    compiled = torch.compile(losses, fullgraph=True, backend="eager")
    assert torch.equal(compiled(outputs, targets), losses(outputs, targets))
    with pytest.raises(TypeCheckError):
        losses(outputs, targets[:, :2])


def test_other_types_are_left_to_the_package():
    with pytest.raises(UserError, match="whole"):
        addition(2.5)


def test_callbacks_are_checked():
    assert PhaseTracker().history.shape == (0, 5)
    assert PhaseTracker.history.fget.__wrapped__
