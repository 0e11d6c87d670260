"""The toy model (a, b) -> Dec(E_a + E_b) of section 2 of the paper."""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.models.activations import Activation
from grokking_pl.models.contract import require_symbols
from grokking_pl.models.mlp import dense_layers, scale_parameters
from grokking_pl.sizes import Sizes


class ToyModel(nn.Module):
    """Embed two symbols, add the embeddings, and decode the sum with a multilayer perceptron.

    Weights are drawn as in the authors' published code: the embeddings, then the decoder from input to output, each
    layer's weight before its bias.

    Args:
        sizes: number of symbols and output dimension, from the data.
        embedding_dim: dimension d of the embeddings.
        depth: number of linear layers of the decoder.
        width: units in each of the decoder's hidden layers.
        activation: nonlinearity of the decoder, by name or class.
        combine: input of the decoder: the "sum" E_a + E_b, or the "mean" (E_a + E_b) / 2 as in figure 2.
        embedding_distribution: initial embeddings are "uniform" in [-1/2, 1/2) or standard "normal", times
            embedding_scale, plus embedding_shift.
        embedding_scale: factor on the initial embeddings.
        embedding_shift: shift of all entries of the initial embeddings.
        decoder_scale: factor on all initial weights and biases of the decoder.
        bias: whether the decoder's layers have biases.
        last_activation: whether there is a nonlinearity before the decoder's last layer; figure 2 has none there.
        published_long_draws: draw initial weights in the order of the authors' 10^5-step script: an unused perceptron
            p-200-200-d, the decoder, the embeddings.

    Raises:
        UserError: a dimension or a scale is not positive, the shift is not a number, or the data have no symbols.
    """

    def __init__(
        self,
        sizes: Sizes,
        embedding_dim: int = 1,
        depth: int = 3,
        width: int = 200,
        activation: Activation = "tanh",
        combine: Literal["sum", "mean"] = "sum",
        embedding_distribution: Literal["uniform", "normal"] = "uniform",
        embedding_scale: float = 1.0,
        embedding_shift: float = 0.0,
        decoder_scale: float = 1.0,
        bias: bool = True,
        last_activation: bool = True,
        published_long_draws: bool = False,
    ) -> None:
        super().__init__()
        require_symbols(sizes, "ToyModel")
        if embedding_dim < 1:
            raise UserError(f"embedding_dim is {embedding_dim}; it must be at least 1")
        if embedding_distribution not in ("uniform", "normal"):
            raise UserError(f"embedding_distribution is {embedding_distribution!r}; it must be uniform or normal")
        if not 0 < embedding_scale < math.inf:
            raise UserError(f"embedding_scale is {embedding_scale}; it must be a positive number")
        if not math.isfinite(embedding_shift):
            raise UserError(f"embedding_shift is {embedding_shift}; it must be a number")

        def draw_embeddings() -> nn.Parameter:
            shape = (sizes.symbols, embedding_dim)
            drawn = torch.randn(shape) if embedding_distribution == "normal" else torch.rand(shape) - 1 / 2
            return nn.Parameter(drawn * embedding_scale + embedding_shift)

        if published_long_draws:
            dense_layers(sizes.symbols, embedding_dim, 3, 200, "tanh")
        else:
            self.embeddings = draw_embeddings()
        self.decoder = dense_layers(embedding_dim, sizes.outputs, depth, width, activation, bias, last_activation)
        if published_long_draws:
            self.embeddings = draw_embeddings()
        scale_parameters(self.decoder, decoder_scale, "decoder_scale")
        self.mean = combine == "mean"

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """The embeddings, which form the ``embeddings`` group."""
        yield self.embeddings

    def combine(self, left: Float[Tensor, "*batch d"], right: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The decoder's input for two embeddings."""
        total = left + right
        return total / 2 if self.mean else total

    def forward(self, pairs: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch outputs"]:
        """Map pairs of symbols to outputs."""
        left, right = F.embedding(pairs, self.embeddings).unbind(1)
        return self.decoder(self.combine(left, right))
