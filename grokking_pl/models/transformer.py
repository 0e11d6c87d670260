"""The decoder-only transformer, for pairs of symbols (section 4.2 of the paper) and for whole equations.

Dimensions in comments: B samples, T tokens, Q tokens at which the output is read, D width, H heads.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.models.activations import Activation, make_activation
from grokking_pl.models.contract import require_symbols
from grokking_pl.sizes import Sizes

Norm = Literal["before", "after", "none"]
Positions = Literal["learned", "sinusoidal", "none"]
Bias = Literal["all", "mlp", "none"]
Initialisation = Literal["uniform", "normal", "xavier", "encoder_layer"]


class Transformer(nn.Module):
    """A transformer that reads symbols or the tokens of an equation.

    The token embeddings, and the positions if learned, form the ``embeddings`` group; all else is the decoder. The
    defaults have the readout of section 4.2: two symbols, no operator, and a linear classifier on the concatenated
    outputs of the last layer. The paper's network has one head, ``norm: before`` without a final norm, no mask, no
    positions and ``initialisation: encoder_layer``. Power et al. (2022) have ``readout: last``, sinusoidal positions,
    ``norm: after``, no bias; Nanda et al. (2023) ``readout: last``, ``equals: true``, ``norm: none``, ``bias: mlp``,
    ``initialisation: normal``.

    Args:
        sizes: symbols or tokens, input length and number of outputs, from the data.
        layers: number of blocks of attention and a two-layer perceptron.
        heads: number of attention heads, which share the width.
        width: dimension of the embeddings and of the residual stream.
        mlp_ratio: hidden units of the perceptrons, divided by the width.
        activation: nonlinearity of the perceptrons, by name or class.
        norm: layer norm "before" each part of a block, "after" each part, or "none".
        final_norm: whether a layer norm follows the last block; null means only with norm "before".
        causal: whether each token attends only to itself and earlier tokens.
        positions: "learned", "sinusoidal" or "none".
        readout: "concatenate" feeds the outputs of all tokens to one linear layer; "last" applies a linear layer at the
            last token, or for equations at each token that is followed by one of the answer.
        equals: append the token "=" to the operands.
        dropout: dropout rate of attention and perceptron outputs before they join the residual stream.
        attention_dropout: dropout rate of attention weights.
        mlp_dropout: dropout rate of the perceptrons' hidden units.
        embedding_dropout: dropout rate of the sum of embeddings and positions.
        bias: which linear layers have biases: "all", "mlp" (the perceptrons), or "none".
        embedding_scale: standard deviation of the initial embeddings and learned positions.
        initialisation: initialisation of the linear layers. "uniform": PyTorch's default, within 1 / sqrt(inputs);
            "normal": standard deviation 1 / sqrt(width), 1 / sqrt(outputs) in the last layer, zero biases; "xavier":
            uniform within sqrt(6 / (inputs + outputs)), with queries, keys and values as one layer, zero biases;
            "encoder_layer": as in torch.nn.TransformerEncoderLayer, that is "xavier" for queries, keys and values, zero
            biases in the attention, "uniform" elsewhere.
        context: maximum input length in tokens; null for the data's.

    Raises:
        UserError: an option is out of range, the width is not a multiple of the heads, the data have no symbols, or
            readout is "concatenate" and answers have several tokens.
    """

    sinusoids: Float[Tensor, "context width"] | None
    mask: Bool[Tensor, "tokens tokens"] | None

    def __init__(
        self,
        sizes: Sizes,
        layers: int = 2,
        heads: int = 4,
        width: int = 256,
        mlp_ratio: float = 4.0,
        activation: Activation = "relu",
        norm: Norm = "before",
        final_norm: bool | None = None,
        causal: bool = True,
        positions: Positions = "learned",
        readout: Literal["concatenate", "last"] = "concatenate",
        equals: bool = False,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        mlp_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        bias: Bias = "all",
        embedding_scale: float = 1.0,
        initialisation: Initialisation = "uniform",
        context: int | None = None,
    ) -> None:
        super().__init__()
        require_symbols(sizes, "Transformer", sequences=True)
        length = sizes.inputs + equals
        context = length if context is None else context
        _check(layers, heads, width, mlp_ratio, embedding_scale)
        for name, rate in (
            ("dropout", dropout),
            ("attention_dropout", attention_dropout),
            ("mlp_dropout", mlp_dropout),
            ("embedding_dropout", embedding_dropout),
        ):
            if not 0 <= rate < 1:
                raise UserError(f"Transformer: {name} is {rate}; it must be at least 0 and below 1")
        if context < length:
            raise UserError(f"Transformer: context is {context}; it must be at least {length}, the number of tokens")
        if readout == "concatenate" and sizes.answers:
            raise UserError(
                "Transformer: the data have answers of several tokens: set readout to last, or choose data of pairs"
            )
        tokens = sizes.tokens or sizes.symbols
        self.tokens = nn.Embedding(tokens + equals, width)
        self.equals = tokens if equals else None
        self.positions = nn.Embedding(context, width) if positions == "learned" else None
        fixed = sinusoids(context, width) if positions == "sinusoidal" else None
        self.register_buffer("sinusoids", fixed, persistent=False)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        hidden = round(mlp_ratio * width)
        self.blocks = nn.ModuleList(
            Block(width, heads, hidden, activation, norm, dropout, attention_dropout, mlp_dropout, bias, initialisation)
            for _ in range(layers)
        )
        final_norm = norm == "before" if final_norm is None else final_norm
        self.final_norm = nn.LayerNorm(width) if final_norm else nn.Identity()
        self.answers = sizes.answers
        self.concatenate = readout == "concatenate"
        self.read = length if self.concatenate else max(1, sizes.answers)
        self.classifier = nn.Linear(width * length if self.concatenate else width, sizes.outputs, bias=bias == "all")
        # One row per query, True at the tokens it may attend to.
        mask = torch.ones(length, length, dtype=torch.bool).tril() if causal else None
        self.register_buffer("mask", mask, persistent=False)
        self.length = length
        self.symbols = slice(sizes.first_symbol, sizes.first_symbol + sizes.symbols)
        self._initialise(embedding_scale, initialisation)

    def _initialise(self, embedding_scale: float, initialisation: Initialisation) -> None:
        with torch.no_grad():
            for table in (self.tokens, self.positions):
                if table is not None:
                    table.weight.mul_(embedding_scale)
        if initialisation not in ("normal", "xavier"):
            return
        for layer in self.modules():
            if not isinstance(layer, nn.Linear):
                continue
            if initialisation == "xavier":
                nn.init.xavier_uniform_(layer.weight)
            else:
                fan = layer.out_features if layer is self.classifier else self.tokens.embedding_dim
                nn.init.normal_(layer.weight, std=1 / math.sqrt(fan))
            zero_bias(layer)

    @property
    def embeddings(self) -> Float[Tensor, "p d"]:
        """The embeddings of the operation's symbols, without operators and "="."""
        return self.tokens.weight[self.symbols]

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """Token embeddings and learned positions, which form the ``embeddings`` group."""
        yield from self.tokens.parameters()
        if self.positions is not None:
            yield from self.positions.parameters()

    def combine(self, left: Float[Tensor, "*batch d"], right: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The sum E_a + E_b, as used by the representation metrics."""
        return left + right

    def forward(self, inputs: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch *answers outputs"]:
        """Map symbols or tokens to outputs: one vector per sample, or for equations one per answer token."""
        if self.equals is not None:
            inputs = F.pad(inputs, (0, 1), value=self.equals)
        stream = self.tokens(inputs)  # (B, T, D)
        if self.positions is not None:
            stream = stream + self.positions.weight[: self.length]
        elif self.sinusoids is not None:
            stream = stream + self.sinusoids[: self.length]
        stream = self.embedding_dropout(stream)
        last = len(self.blocks) - 1
        for number, block in enumerate(cast(Iterable[Block], self.blocks)):
            # After the last block only the tokens that are read matter.
            read = self.read if number == last else self.length
            merged = block.attention.merging_pays(inputs.numel(), len(inputs) * read)
            if number == 0 and self._first_by_symbol(inputs):
                projected = tuple(F.embedding(inputs, table) for table in block.project(self.tokens.weight, merged))
            else:
                projected = block.project(stream, merged)
            stream = block(stream, projected, merged, self.mask, read)
        stream = self.final_norm(stream)  # (B, Q, D)
        if self.answers:
            return self.classifier(stream)
        return self.classifier(stream.flatten(1))

    def _first_by_symbol(self, inputs: Int[Tensor, "batch tokens"]) -> bool:
        """Whether to project each symbol once for the first block, instead of every token of every sample.

        Without positions the results are the same, and it saves 60 % of the first block's products in the paper's
        network.
        """
        has_positions = self.positions is not None or self.sinusoids is not None
        drops = self.training and self.embedding_dropout.p > 0
        return not has_positions and not drops and inputs.numel() > self.tokens.num_embeddings


class Block(nn.Module):
    """Attention, then a two-layer perceptron, each added to the residual stream."""

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        activation: Activation,
        norm: Norm,
        dropout: float,
        attention_dropout: float,
        mlp_dropout: float,
        bias: Bias,
        initialisation: Initialisation,
    ) -> None:
        super().__init__()
        self.attention = Attention(width, heads, attention_dropout, bias == "all", initialisation)
        self.up = nn.Linear(width, hidden, bias=bias != "none")
        self.activation = make_activation(activation)
        self.mlp_dropout = nn.Dropout(mlp_dropout)
        self.down = nn.Linear(hidden, width, bias=bias != "none")
        self.norms = nn.ModuleList(nn.Identity() if norm == "none" else nn.LayerNorm(width) for _ in range(2))
        self.norm_first = norm == "before"
        self.dropout = nn.Dropout(dropout)

    def project(self, stream: Float[Tensor, "*batch d"], merged: bool) -> tuple[Tensor, ...]:
        """Queries, keys and values."""
        return self.attention.project(self.norms[0](stream) if self.norm_first else stream, merged)

    def forward(
        self,
        stream: Float[Tensor, "batch tokens d"],
        projected: tuple[Float[Tensor, "batch tokens d"], ...],
        merged: bool,
        mask: Tensor | None,
        read: int,
    ) -> Float[Tensor, "batch read d"]:
        """The residual stream after the block, at the last ``read`` tokens; ``projected`` comes from `project`."""
        first, second = self.norms
        kept = stream[:, -read:]
        attended = self.dropout(self.attention(projected, merged, mask, read))
        if self.norm_first:
            kept = kept + attended
            return kept + self.dropout(self._perceptron(second(kept)))
        kept = first(kept + attended)
        return second(kept + self.dropout(self._perceptron(kept)))

    def _perceptron(self, stream: Float[Tensor, "batch read d"]) -> Float[Tensor, "batch read d"]:
        return self.down(self.mlp_dropout(self.activation(self.up(stream))))


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool, initialisation: Initialisation) -> None:
        super().__init__()
        self.heads = heads
        self.rate = dropout
        if initialisation == "encoder_layer":
            # Initialised last, as in PyTorch's layer.
            self.query_key_value = nn.utils.skip_init(nn.Linear, width, 3 * width, bias=bias)
            self.output = nn.Linear(width, width, bias=bias)
            nn.init.xavier_uniform_(self.query_key_value.weight)
            zero_bias(self.query_key_value)
            zero_bias(self.output)
        else:
            self.query_key_value = nn.Linear(width, 3 * width, bias=bias)
            self.output = nn.Linear(width, width, bias=bias)

    def merging_pays(self, tokens: int, read: int) -> bool:
        """Whether to train with ``merged``, which saves operations for so many tokens of which so many are read.

        Not without dropout of attention weights, where outputs are those of PyTorch's layers to the bit.
        """
        saves = self.heads == 1 and tokens + read > 2 * self.output.in_features
        return saves and self.training and self.rate > 0

    def project(self, stream: Float[Tensor, "*batch d"], merged: bool) -> tuple[Float[Tensor, "*batch d"], ...]:
        """Queries, keys and values of each token.

        With one head the weights matter only as two products, W_Q^T W_K and W_O W_V (the QK and OV circuits of
        Elhage et al., 2021). If ``merged`` these are formed first, which halves the products of a token: the keys are
        the tokens themselves, and the values have passed the output layer. A bias of the keys adds the same to all
        scores of a query, so that it has no effect.
        """
        joint = self.query_key_value
        if not merged:
            projected: Tensor = joint(stream)
            return projected.chunk(3, -1)
        query, key, value = joint.weight.chunk(3)
        query_bias = value_bias = None
        if joint.bias is not None:
            query_bias, _, value_bias = joint.bias.chunk(3)
            query_bias, value_bias = query_bias @ key, self.output.weight @ value_bias
        return (
            F.linear(stream, key.T @ query, query_bias),
            stream,
            F.linear(stream, self.output.weight @ value, value_bias),
        )

    def forward(
        self, projected: tuple[Float[Tensor, "batch tokens d"], ...], merged: bool, mask: Tensor | None, read: int
    ) -> Float[Tensor, "batch read d"]:
        """Attention outputs of the last ``read`` tokens over the tokens allowed by the mask."""
        # (B, T, D) -> (B, H, T, D / H)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in projected)
        seen = None if mask is None or read == 1 else mask[-read:]  # the last token attends to all
        gathered = F.scaled_dot_product_attention(
            query[:, :, -read:],
            key,
            value,
            attn_mask=seen,
            dropout_p=self.rate if self.training else 0.0,
        )
        gathered = gathered.transpose(1, 2).flatten(2)
        if not merged:
            attended: Tensor = self.output(gathered)
            return attended
        return gathered if self.output.bias is None else gathered + self.output.bias


def zero_bias(layer: nn.Linear) -> None:
    """Set the layer's bias, if it has one, to zero."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def sinusoids(context: int, width: int) -> Float[Tensor, "context width"]:
    """Sinusoidal positions: sin(t / 10000^(i / width)) at even i, and cos(t / 10000^((i - 1) / width)) at odd i.

    >>> sinusoids(2, 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    even = torch.arange(width, dtype=torch.float64) // 2 * 2
    angles = torch.arange(context, dtype=torch.float64)[:, None] / 10000 ** (even / width)
    return torch.where(torch.arange(width) % 2 == 0, angles.sin(), angles.cos()).float()


def _check(layers: int, heads: int, width: int, mlp_ratio: float, embedding_scale: float) -> None:
    for name, number in (("layers", layers), ("heads", heads), ("width", width)):
        if number < 1:
            raise UserError(f"Transformer: {name} is {number}; it must be at least 1")
    if width % heads:
        raise UserError(f"Transformer: width is {width}; with {heads} heads it must be a multiple of {heads}")
    if not 0 < mlp_ratio < math.inf or round(mlp_ratio * width) < 1:
        raise UserError(f"Transformer: mlp_ratio is {mlp_ratio}; the perceptrons need at least one hidden unit")
    if not 0 < embedding_scale < math.inf:
        raise UserError(f"Transformer: embedding_scale is {embedding_scale}; it must be a positive number")
