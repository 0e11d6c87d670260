"""The ideal accuracy against the training set's size; against exact ranks it is tested with the ground states."""

import numpy as np
import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.metrics import ideal_accuracy
from grokking_pl.tasks import addition, modular_subtraction


def test_ideal_accuracy_grows_with_the_training_set():
    table = addition(10)
    order = torch.from_numpy(np.random.RandomState(3).permutation(len(table)))
    accuracy = [float(ideal_accuracy(table, order[:n])) for n in range(len(table) + 1)]
    assert accuracy == sorted(accuracy)
    assert accuracy[0] == 0
    assert accuracy[-1] == 1


def test_operations_that_do_not_commute_are_refused():
    with pytest.raises(UserError, match="does not commute"):
        ideal_accuracy(modular_subtraction(5))
