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
from grokking_pl.models.toy import require_symbols
from grokking_pl.sizes import Sizes

Norm = Literal["before", "after", "none"]
Positions = Literal["learned", "sinusoidal", "none"]
Bias = Literal["all", "mlp", "none"]
Initialisation = Literal["uniform", "normal", "xavier", "encoder_layer"]


class Transformer(nn.Module):
    """Reads symbols, or the tokens of an equation, and gives the outputs that its data ask for.

    The token embeddings, with the positions if those are learned, are the embeddings' group; all else is the decoder.
    The defaults have section 4.2's readout: two symbols, no operator, the outputs of the last layer concatenated and
    classified by a linear layer. The paper's network has one head, ``norm: before`` without a final norm, no mask, no
    positions and ``initialisation: encoder_layer``. Power et al. (2022) have ``readout: last``, sinusoidal positions,
    ``norm: after``, no bias; Nanda et al. (2023) ``readout: last``, ``equals: true``, ``norm: none``, ``bias: mlp``,
    ``initialisation: normal``.

    Args:
        sizes: symbols or tokens, length of the input and number of outputs, from the data.
        layers: number of blocks, each attention and a two-layer perceptron.
        heads: attention heads; they share the width among them.
        width: dimension of the embeddings and of the residual stream.
        mlp_ratio: hidden units of the perceptrons, over the width.
        activation: nonlinearity of the perceptrons, by name or class.
        norm: layer norm "before" each part of a block, "after" each part, or "none".
        final_norm: one more layer norm after the last block; null for one if the others are before the parts.
        causal: whether a token attends only to itself and those before it.
        positions: "learned", "sinusoidal" or "none".
        readout: "concatenate" the outputs of all tokens for one linear layer; "last": a linear layer at the last token,
            or for equations at each token that is followed by one of the answer.
        equals: read one more token after the operands, "=".
        dropout: rate at which outputs of attention and perceptron are dropped before they join the residual stream.
        attention_dropout: rate for attention weights.
        mlp_dropout: rate for the hidden units of the perceptrons.
        embedding_dropout: rate for the sum of embeddings and positions.
        bias: which linear layers have one: "all", "mlp" (the perceptrons), or "none".
        embedding_scale: standard deviation of the initial embeddings and learned positions.
        initialisation: of the linear layers. "uniform": PyTorch's, within 1 / sqrt(inputs); "normal": standard
            deviation 1 / sqrt(width), 1 / sqrt(outputs) in the last layer, biases zero; "xavier": uniform within
            sqrt(6 / (inputs + outputs)), queries, keys and values being one layer, biases zero; "encoder_layer": as
            torch.nn.TransformerEncoderLayer draws them, which is "xavier" for queries, keys and values, biases zero in
            the attention, "uniform" elsewhere.
        context: longest input, in tokens; null for that of the data.

    Raises:
        UserError: an option is out of range, the heads do not divide the width, the data have no symbols, or an answer
            of several tokens is asked of concatenated outputs.
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
            raise UserError(f"Transformer: context is {context}, but the data have {length} tokens: give at least that")
        if readout == "concatenate" and sizes.answers:
            raise UserError(
                "Transformer: the data ask for the tokens of an answer, one by one: set readout to last, or choose "
                "data of pairs"
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
        # True where a query, one a row, may look; the last rows are those of the last tokens.
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
        """The embeddings of the symbols that the operation acts on; operators and = are left out."""
        return self.tokens.weight[self.symbols]

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """Token embeddings and learned positions: they form the ``embeddings`` group."""
        yield from self.tokens.parameters()
        if self.positions is not None:
            yield from self.positions.parameters()

    def combine(self, left: Float[Tensor, "*batch d"], right: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The sum E_a + E_b: how the metrics of a representation look at two embeddings."""
        return left + right

    def forward(self, inputs: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch *answers outputs"]:
        """Map symbols or tokens to outputs: one vector a sample, or for equations one for each token of the answer."""
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
            if number == 0 and self._first_by_symbol(inputs):
                projected = F.embedding(inputs, block.project(self.tokens.weight))
            else:
                projected = block.project(stream)  # (B, T, 3D)
            # Nothing after the last block looks at tokens whose output is not read.
            read = self.read if number == last else self.length
            stream = block(stream, projected, self.mask, read)
        stream = self.final_norm(stream)  # (B, Q, D)
        if self.answers:
            return self.classifier(stream)
        return self.classifier(stream.flatten(1))

    def _first_by_symbol(self, inputs: Int[Tensor, "batch tokens"]) -> bool:
        """Whether to project every symbol once for the first block, and not every token of every sample.

        Without positions the two are the same numbers: 60 % of the first block's products, in the paper's network.
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

    def project(self, stream: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch projections"]:
        """Queries, keys and values."""
        projected: Tensor = self.attention.query_key_value(self.norms[0](stream) if self.norm_first else stream)
        return projected

    def forward(
        self,
        stream: Float[Tensor, "batch tokens d"],
        projected: Float[Tensor, "batch tokens projections"],
        mask: Tensor | None,
        read: int,
    ) -> Float[Tensor, "batch read d"]:
        """The residual stream after the block, at its last ``read`` tokens; ``projected`` is from `project`."""
        first, second = self.norms
        kept = stream[:, -read:]
        attended = self.dropout(self.attention(projected, mask, read))
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
            # PyTorch's layer draws these weights last.
            self.query_key_value = nn.utils.skip_init(nn.Linear, width, 3 * width, bias=bias)
            self.output = nn.Linear(width, width, bias=bias)
            nn.init.xavier_uniform_(self.query_key_value.weight)
            zero_bias(self.query_key_value)
            zero_bias(self.output)
        else:
            self.query_key_value = nn.Linear(width, 3 * width, bias=bias)
            self.output = nn.Linear(width, width, bias=bias)

    def forward(
        self, projected: Float[Tensor, "batch tokens projections"], mask: Tensor | None, read: int
    ) -> Float[Tensor, "batch read d"]:
        """What the last ``read`` tokens gather, by queries, keys and values, from the tokens that the mask shows."""
        batch, length, width = *projected.shape[:2], projected.shape[2] // 3
        # (B, T, 3D) -> 3 x (B, H, T, D / H)
        split = projected.view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = None if mask is None or read == 1 else mask[-read:]  # the last token sees all
        gathered = F.scaled_dot_product_attention(
            query[:, :, -read:],
            key,
            value,
            attn_mask=seen,
            dropout_p=self.rate if self.training else 0.0,
        )
        return self.output(gathered.transpose(1, 2).reshape(batch, read, width))


def zero_bias(layer: nn.Linear) -> None:
    """Start with a bias of zero, where the layer has one."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def sinusoids(context: int, width: int) -> Float[Tensor, "context width"]:
    """Fixed positions: sin(t / 10000^(i / width)) at even i, and cos(t / 10000^((i - 1) / width)) at odd i.

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
        raise UserError(f"Transformer: width {width} cannot be shared by {heads} heads: give a multiple of {heads}")
    if not 0 < mlp_ratio < math.inf or round(mlp_ratio * width) < 1:
        raise UserError(f"Transformer: mlp_ratio is {mlp_ratio}; the perceptrons need at least one hidden unit")
    if not 0 < embedding_scale < math.inf:
        raise UserError(f"Transformer: embedding_scale is {embedding_scale}; it must be a positive number")
