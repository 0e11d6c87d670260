"""The toy model (a, b) -> Dec(E_a + E_b) of section 2 of the paper."""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.models.mlp import Activation, dense_layers, scale_parameters
from grokking_pl.sizes import Sizes


def require_symbols(sizes: Sizes, architecture: str, sequences: bool = False) -> None:
    """Raise a `UserError` if the data are vectors, or sequences of tokens where the architecture reads only pairs."""
    if sizes.symbols == 0:
        raise UserError(f"{architecture} embeds pairs of symbols, but the data are vectors: choose MLP, or other data")
    if sizes.tokens and not sequences:
        raise UserError(f"{architecture} reads pairs of symbols, but the data are equations: choose Transformer")


class ToyModel(nn.Module):
    """Embeds two symbols, adds the embeddings, and decodes the sum with a multilayer perceptron.

    The weights are drawn in the order embeddings, then the decoder from input to output, each layer's weight before its
    bias, as in the authors' published code.

    Args:
        sizes: number of symbols and dimension of the output, from the data.
        embedding_dim: dimension d of the embeddings.
        depth: number of linear layers of the decoder.
        width: units in each of the decoder's hidden layers.
        activation: nonlinearity of the decoder.
        combine: the decoder reads the sum E_a + E_b, or the mean (E_a + E_b) / 2 as in figure 2.
        embedding_scale: the embeddings start uniform in [-1/2, 1/2) times this scale.
        decoder_scale: factor on every initial weight and bias of the decoder.

    Raises:
        UserError: a dimension or a scale is not positive, or the data have no symbols.
    """

    def __init__(
        self,
        sizes: Sizes,
        embedding_dim: int = 1,
        depth: int = 3,
        width: int = 200,
        activation: Activation = "tanh",
        combine: Literal["sum", "mean"] = "sum",
        embedding_scale: float = 1.0,
        decoder_scale: float = 1.0,
    ) -> None:
        super().__init__()
        require_symbols(sizes, "ToyModel")
        if embedding_dim < 1:
            raise UserError(f"embedding_dim is {embedding_dim}; it must be at least 1")
        self.embeddings = nn.Parameter(torch.rand(sizes.symbols, embedding_dim) - 1 / 2)
        self.decoder = dense_layers(embedding_dim, sizes.outputs, depth, width, activation)
        if not 0 < embedding_scale < float("inf"):
            raise UserError(f"embedding_scale is {embedding_scale}; it must be a positive number")
        with torch.no_grad():
            self.embeddings.mul_(embedding_scale)
        scale_parameters(self.decoder, decoder_scale, "decoder_scale")
        self.mean = combine == "mean"

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """The embeddings: they form the ``embeddings`` group."""
        yield self.embeddings

    def combine(self, left: Float[Tensor, "*batch d"], right: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """What the decoder reads of two embeddings."""
        total = left + right
        return total / 2 if self.mean else total

    def forward(self, pairs: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch outputs"]:
        """Map pairs of symbols to outputs."""
        left, right = F.embedding(pairs, self.embeddings).unbind(1)
        return self.decoder(self.combine(left, right))
