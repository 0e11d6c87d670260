"""What an architecture shows of itself, by methods or by the attribute ``embeddings`` alone."""

import re

import pytest
import torch
from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.models.contract import combination_of, combines, embedding_parameters, embeddings_of


class Plain(nn.Module):
    """Embeds symbols by a table of any name, as a user may write it."""

    def __init__(self, **tables):
        super().__init__()
        for name, table in tables.items():
            setattr(self, name, table)
        self.decoder = nn.Linear(3, 2)


@pytest.mark.parametrize("table", [nn.Embedding(5, 3), nn.Parameter(torch.randn(5, 3))])
def test_attribute_embeddings_is_enough(table):
    network = Plain(embeddings=table)
    weight = table if isinstance(table, nn.Parameter) else table.weight
    (parameter,) = embedding_parameters(network)
    assert parameter is weight
    assert embeddings_of(network) is weight
    assert not combines(network)
    with pytest.raises(UserError, match=re.escape("add to the class 'def combine(self, left, right): return left")):
        combination_of(network)(*torch.randn(2, 4, 3))


def test_methods_come_first():
    network = Plain(embeddings=nn.Embedding(5, 3))
    network.embedding_parameters = lambda: iter([network.decoder.weight])
    network.combine = torch.mul
    assert combines(network)
    assert embedding_parameters(network) == [network.decoder.weight]
    assert combination_of(network)(torch.tensor(3.0), torch.tensor(2.0)) == 6


@pytest.mark.parametrize(
    ("network", "wanted"),
    [
        (Plain(table=nn.Embedding(5, 3)), "def embedding_parameters(self): return self.table.parameters()"),
        (Plain(), "def embedding_parameters(self): return []"),
    ],
)
def test_what_to_add_is_said(network, wanted):
    with pytest.raises(UserError, match=re.escape(wanted)):
        embedding_parameters(network)
    with pytest.raises(UserError, match="Plain has no embeddings"):
        embeddings_of(network)
