"""The permutation model (a, b) -> Dec(E_a E_b) of appendix H of the paper."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.models.activations import Activation
from grokking_pl.models.contract import require_symbols
from grokking_pl.models.mlp import dense_layers, scale_parameters
from grokking_pl.sizes import Sizes


class PermutationModel(nn.Module):
    """Embed two symbols as square matrices, multiply them, and decode the product with a multilayer perceptron.

    Args:
        sizes: number of symbols and output dimension, from the data.
        embedding_dim: entries of an embedding: n² for n x n matrices, stored row by row.
        depth: number of linear layers of the decoder.
        width: units in each of the decoder's hidden layers.
        activation: nonlinearity of the decoder, by name or class.
        embedding_scale: initial embeddings are uniform in [-1/2, 1/2) times this scale.
        decoder_scale: factor on all initial weights and biases of the decoder.
        l1: weight of the mean absolute value of the embeddings in the loss.
        published_draws: draw initial weights in the order of the authors' published code: an unused perceptron
            1-200-200-n², the decoder, the embeddings. Otherwise the embeddings come first.

    Raises:
        UserError: embedding_dim is not a square number, a scale is not positive, l1 is negative, or the data have no
            symbols.
    """

    def __init__(
        self,
        sizes: Sizes,
        embedding_dim: int = 9,
        depth: int = 3,
        width: int = 200,
        activation: Activation = "tanh",
        embedding_scale: float = 0.1,
        decoder_scale: float = 1.0,
        l1: float = 1e-3,
        published_draws: bool = False,
    ) -> None:
        super().__init__()
        require_symbols(sizes, "PermutationModel")
        self.n = math.isqrt(max(embedding_dim, 0))
        if embedding_dim < 1 or self.n**2 != embedding_dim:
            raise UserError(f"embedding_dim is {embedding_dim}; for n x n matrices it must be a square, such as 4 or 9")
        if not 0 < embedding_scale < float("inf"):
            raise UserError(f"embedding_scale is {embedding_scale}; it must be a positive number")
        if not 0 <= l1 < float("inf"):
            raise UserError(f"l1 is {l1}; it must be a number of at least 0")
        self.l1 = l1

        def draw_embeddings() -> nn.Parameter:
            return nn.Parameter((torch.rand(sizes.symbols, embedding_dim) - 1 / 2) * embedding_scale)

        if published_draws:
            dense_layers(1, embedding_dim, 3, 200, "tanh")
            self.decoder = dense_layers(embedding_dim, sizes.outputs, depth, width, activation)
            self.embeddings = draw_embeddings()
        else:
            self.embeddings = draw_embeddings()
            self.decoder = dense_layers(embedding_dim, sizes.outputs, depth, width, activation)
        scale_parameters(self.decoder, decoder_scale, "decoder_scale")

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """The embeddings, which form the ``embeddings`` group."""
        yield self.embeddings

    def combine(self, left: Float[Tensor, "*batch d"], right: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The matrix product E_a E_b of two embeddings."""
        shape = (self.n, self.n)
        return (left.unflatten(-1, shape) @ right.unflatten(-1, shape)).flatten(-2)

    def penalty(self) -> Float[Tensor, ""]:
        """Term added to the training loss: the L1 norm of the embeddings (appendix H)."""
        return self.l1 * self.embeddings.abs().mean()

    def forward(self, pairs: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch outputs"]:
        """Map pairs of symbols to outputs."""
        left, right = F.embedding(pairs, self.embeddings).unbind(1)
        return self.decoder(self.combine(left, right))
