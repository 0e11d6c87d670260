"""The multilayer perceptron, also used as the decoder of the toy models."""

import itertools
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grokking_pl.errors import UserError
from grokking_pl.models.activations import Activation, make_activation
from grokking_pl.sizes import Sizes


def dense_layers(
    inputs: int,
    outputs: int,
    depth: int,
    width: int,
    activation: Activation,
    bias: bool = True,
    last_activation: bool = True,
) -> nn.Sequential:
    """Stack ``depth`` linear layers, ``depth - 1`` of them hidden, with ``activation`` between them.

    Weights have ``nn.Linear``'s default initialisation, drawn layer by layer from input to output, weight before bias.
    Layers and activations alternate; without ``last_activation`` an identity precedes the last layer.

    Raises:
        UserError: depth or width is not positive, or the activation is unknown.
    """
    if depth < 1 or width < 1:
        raise UserError(f"depth is {depth} and width {width}; both must be at least 1")
    widths = [inputs, *[width] * (depth - 1), outputs]
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out, bias=bias), make_activation(activation)]
    layers.pop()
    if layers[1:] and not last_activation:
        layers[-2] = nn.Identity()
    return nn.Sequential(*layers)


def scale_parameters(module: nn.Module, scale: float, name: str) -> None:
    """Multiply all weights and biases of a newly initialised module by ``scale``.

    Raises:
        UserError: the scale is not a positive finite number.
    """
    if not 0 < scale < float("inf"):
        raise UserError(f"{name} is {scale}; the initialisation scale must be a positive number")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(scale)


class MLP(nn.Module):
    """A multilayer perceptron on vectors, such as images (appendix J of the paper: 784-200-200-10).

    Its last ``decoder_layers`` layers are the decoder. The layers before them compute the representation, and their
    parameters form the ``embeddings`` group.

    Args:
        sizes: input and output dimensions, from the data.
        depth: number of linear layers.
        width: units in each hidden layer.
        activation: nonlinearity between the layers, by name or class.
        alpha: factor on all initial weights and biases; large values delay generalisation.
        decoder_layers: number of last layers that form the decoder.
        bias: whether the layers have biases.
        last_activation: whether there is a nonlinearity before the last layer.

    Raises:
        UserError: depth, width or alpha is not positive, or decoder_layers is not between 1 and depth.
    """

    def __init__(
        self,
        sizes: Sizes,
        depth: int = 3,
        width: int = 200,
        activation: Activation = "relu",
        alpha: float = 1.0,
        decoder_layers: int = 1,
        bias: bool = True,
        last_activation: bool = True,
    ) -> None:
        super().__init__()
        if sizes.symbols:
            raise UserError(
                "MLP reads vectors, but the data are pairs of symbols: choose OneHotMLP or an architecture with "
                "embeddings"
            )
        self.layers = dense_layers(sizes.inputs, sizes.outputs, depth, width, activation, bias, last_activation)
        if not 1 <= decoder_layers <= depth:
            raise UserError(f"decoder_layers is {decoder_layers}; it must be between 1 and the depth, {depth}")
        scale_parameters(self.layers, alpha, "alpha")
        # Two modules per layer: linear and activation.
        self._encoder_modules = 2 * (depth - decoder_layers)

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, which form the ``embeddings`` group."""
        return self.layers[: self._encoder_modules].parameters()

    def encode(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch width"]:
        """The representation of input vectors, which is the input of the decoder's first layer."""
        return self.layers[: self._encoder_modules](inputs)

    def forward(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Map input vectors to outputs."""
        return self.layers(inputs)
