"""The multilayer perceptron on pairs of one-hot operands."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.models.activations import Activation
from grokking_pl.models.contract import require_symbols
from grokking_pl.models.mlp import MLP
from grokking_pl.sizes import Sizes


class OneHotMLP(MLP):
    """A multilayer perceptron that reads a pair (a, b) of p symbols as two one-hot vectors side by side, 2 p inputs.

    As in `MLP`, the layers before the last ``decoder_layers`` form the ``embeddings`` group.

    Args:
        sizes: number of symbols and output dimension, from the data.
        depth: number of linear layers.
        width: units in each hidden layer.
        activation: nonlinearity between the layers, by name or class.
        alpha: factor on all initial weights and biases.
        decoder_layers: number of last layers that form the decoder.
        bias: whether the layers have biases.
        last_activation: whether there is a nonlinearity before the last layer.

    Raises:
        UserError: depth, width or alpha is not positive, decoder_layers is not between 1 and depth, or the data have no
            symbols.
    """

    def __init__(
        self,
        sizes: Sizes,
        depth: int = 2,
        width: int = 200,
        activation: Activation = "relu",
        alpha: float = 1.0,
        decoder_layers: int = 1,
        bias: bool = True,
        last_activation: bool = True,
    ) -> None:
        require_symbols(sizes, "OneHotMLP")
        vectors = Sizes(inputs=sizes.inputs * sizes.symbols, outputs=sizes.outputs)
        super().__init__(vectors, depth, width, activation, alpha, decoder_layers, bias, last_activation)
        self.symbols = sizes.symbols

    def forward(self, pairs: Int[Tensor, "batch operands"]) -> Float[Tensor, "batch outputs"]:
        """Map pairs of symbols to outputs."""
        weight = next(self.layers.parameters())
        one_hot = pairs.unsqueeze(-1) == torch.arange(self.symbols, device=pairs.device)
        outputs: Tensor = self.layers(one_hot.flatten(1).to(weight.dtype))
        return outputs
