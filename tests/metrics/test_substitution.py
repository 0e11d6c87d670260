"""Ranks along an order of the samples, against the ground states of each prefix."""

import numpy as np
import torch

from grokking_pl.metrics.ground_states import ground_states
from grokking_pl.metrics.substitution import substitute
from grokking_pl.tasks import addition


def test_every_prefix_of_an_order_has_its_rank():
    table = addition(6)
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(table)))
    sizes = substitute(table, order[None]).sizes[0]
    for n in range(len(table) + 1):
        assert table.p - int((sizes <= n).sum()) == ground_states(table, order[:n]).n0
