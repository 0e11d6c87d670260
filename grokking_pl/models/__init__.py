"""Architectures: plain modules that take the data's sizes first and name their embedding parameters.

Each has ``embedding_parameters()``. One that embeds symbols also has ``embeddings`` (p x d) and ``combine``, which
define its representation; one that adds a term to the training loss has ``penalty()``.
"""

from grokking_pl.models.gromov import GromovMLP
from grokking_pl.models.hooked_transformer import to_hooked_transformer
from grokking_pl.models.mlp import MLP
from grokking_pl.models.named_activations import named_activations
from grokking_pl.models.one_hot_mlp import OneHotMLP
from grokking_pl.models.permutation import PermutationModel
from grokking_pl.models.toy import ToyModel
from grokking_pl.models.transformer import Transformer
from grokking_pl.models.transformer_lens import from_transformer_lens, to_transformer_lens

__all__ = [
    "MLP",
    "GromovMLP",
    "OneHotMLP",
    "PermutationModel",
    "ToyModel",
    "Transformer",
    "from_transformer_lens",
    "named_activations",
    "to_hooked_transformer",
    "to_transformer_lens",
]
