"""Conversion of weights from and to TransformerLens, and from Nanda et al. (2023), on whose code it is based.

Both store queries, keys and values by head, and multiply vectors from the other side than torch's linear layers.
Shapes, with D the width, H heads of K = D / H, M hidden units, V tokens (the symbols, then "="), O outputs, C
positions:

| name | TransformerLens | Nanda et al. | here |
|---|---|---|---|
| ``embed.W_E`` | V x D | D x V | ``tokens.weight`` |
| ``pos_embed.W_pos`` | C x D | C x D | ``positions.weight`` |
| ``blocks.N.attn.W_Q``, ``W_K``, ``W_V`` | H x D x K | H x K x D | ``blocks.N.attention.query_key_value.weight`` |
| ``blocks.N.attn.b_Q``, ``b_K``, ``b_V`` | H x K | | its bias |
| ``blocks.N.attn.W_O`` | H x K x D | D x HK | ``blocks.N.attention.output.weight`` |
| ``blocks.N.mlp.W_in`` | D x M | M x D | ``blocks.N.up.weight`` |
| ``blocks.N.mlp.W_out`` | M x D | D x M | ``blocks.N.down.weight`` |
| ``unembed.W_U`` | D x O | D x O | ``classifier.weight`` |

The biases ``b_O``, ``b_in``, ``b_out`` and ``b_U`` are vectors in both.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from grokking_pl.errors import UserError
from grokking_pl.models.activations import Activation
from grokking_pl.models.transformer import Transformer
from grokking_pl.sizes import Sizes


def from_transformer_lens(state: Mapping[str, Any], activation: Activation = "relu") -> Transformer:
    """Build a `Transformer` from a state dict of TransformerLens or of Nanda et al. (2023).

    The network reads a, b and "=", and its output is read at "=". The two layouts are told apart by the shape of
    ``W_O``. There are no layer norms; masks and other buffers are ignored, and missing biases are zero.

    Args:
        state: weights by their original names, as tensors or arrays; see this module's table.
        activation: nonlinearity of the perceptrons, which a state dict does not contain.

    Returns:
        A `Transformer` in evaluation mode, in the precision of the embeddings but at least single.

    Raises:
        UserError: a weight is missing or has the wrong shape, or there are layer norms.
    """
    weights = _Weights(state)
    norms = sorted(name for name in state if re.search(r"\bln", name))
    if norms:
        raise UserError(f"the state dict has layer norms ({norms[0]}): only networks without them are supported")
    by_head = weights.get("blocks.0.attn.W_O", "H K D or D HK").ndim == 3
    context, width = weights.get("pos_embed.W_pos", "C D", 2).shape
    vocabulary = weights.get("embed.W_E", "V D or D V", 2).shape[0 if by_head else 1]
    hidden = weights.get("blocks.0.mlp.W_in", "D M or M D", 2).shape[1 if by_head else 0]
    heads = len(weights.get("blocks.0.attn.W_Q", "H K D or H D K", 3))
    outputs = weights.get("unembed.W_U", "D O", 2).shape[1]
    if context < 3:
        raise UserError(f"pos_embed.W_pos has {context} positions, expected at least 3: a, b and =")
    network = Transformer(
        Sizes(inputs=2, outputs=outputs, symbols=vocabulary - 1),
        layers=sum(re.fullmatch(r"blocks\.\d+\.attn\.W_Q", name) is not None for name in state),
        heads=heads,
        width=width,
        mlp_ratio=hidden / width,
        activation=activation,
        norm="none",
        readout="last",
        equals=True,
        bias=weights.biases(),
        context=context,
    )
    network.to(torch.promote_types(weights.get("embed.W_E", "").dtype, torch.float32)).eval()
    size = width // heads
    with torch.no_grad():
        embedding = weights.of("embed.W_E", (vocabulary, width) if by_head else (width, vocabulary))
        network.tokens.weight.copy_(embedding if by_head else embedding.T)
        assert network.positions is not None
        network.positions.weight.copy_(weights.of("pos_embed.W_pos", (context, width)))
        for number, block in enumerate(_blocks(network)):
            attention = block.attention
            attn, mlp = f"blocks.{number}.attn", f"blocks.{number}.mlp"
            shape = (heads, width, size) if by_head else (heads, size, width)
            by_kind = [weights.of(f"{attn}.W_{kind}", shape) for kind in "QKV"]
            rows = torch.stack([weight.mT if by_head else weight for weight in by_kind])  # (3, H, K, D)
            attention.query_key_value.weight.copy_(rows.reshape(3 * width, width))
            output = weights.of(f"{attn}.W_O", (heads, size, width) if by_head else (width, width))
            gathered = output.reshape(width, width)
            attention.output.weight.copy_(gathered.T if by_head else gathered)
            for layer, name, sides in (
                (block.up, f"{mlp}.W_in", (hidden, width)),
                (block.down, f"{mlp}.W_out", (width, hidden)),
            ):
                weight = weights.of(name, sides[::-1] if by_head else sides)
                layer.weight.copy_(weight.T if by_head else weight)
            if attention.output.bias is not None:
                biases = [weights.bias(f"{attn}.b_{kind}", (heads, size)).flatten() for kind in "QKV"]
                attention.query_key_value.bias.copy_(torch.cat(biases))
                attention.output.bias.copy_(weights.bias(f"{attn}.b_O", (width,)))
            if block.up.bias is not None:
                block.up.bias.copy_(weights.bias(f"{mlp}.b_in", (hidden,)))
                block.down.bias.copy_(weights.bias(f"{mlp}.b_out", (width,)))
        network.classifier.weight.copy_(weights.of("unembed.W_U", (width, outputs)).T)
        if network.classifier.bias is not None:
            network.classifier.bias.copy_(weights.bias("unembed.b_U", (outputs,)))
    return network


def to_transformer_lens(network: Transformer) -> dict[str, Tensor]:
    """The network's weights with the names and shapes of TransformerLens's ``HookedTransformer``.

    `to_hooked_transformer` builds such a model. To load the weights yourself, call
    ``model.load_state_dict(state, strict=False)`` on a model of the same sizes with ``normalization_type=None``; it
    keeps its own masks. Biases that the network lacks are zeros.

    Args:
        network: a network without layer norms, with learned positions and readout at the last token.

    Returns:
        Copies of the weights, on their device.

    Raises:
        UserError: the network is of another kind.
    """
    _check_kind(network)
    width, heads = network.tokens.embedding_dim, _blocks(network)[0].attention.heads
    size = width // heads
    assert network.positions is not None
    state: dict[str, Tensor] = {"embed.W_E": network.tokens.weight, "pos_embed.W_pos": network.positions.weight}
    for number, block in enumerate(_blocks(network)):
        attention = block.attention
        attn, mlp = f"blocks.{number}.attn", f"blocks.{number}.mlp"
        weights = attention.query_key_value.weight.view(3, heads, size, width)
        biases = _bias(attention.query_key_value).view(3, heads, size)
        for kind, weight, bias in zip("QKV", weights, biases, strict=True):
            state |= {f"{attn}.W_{kind}": weight.mT, f"{attn}.b_{kind}": bias}
        state |= {
            f"{attn}.W_O": attention.output.weight.T.view(heads, size, width),
            f"{attn}.b_O": _bias(attention.output),
        }
        state |= {f"{mlp}.W_in": block.up.weight.T, f"{mlp}.b_in": _bias(block.up)}
        state |= {f"{mlp}.W_out": block.down.weight.T, f"{mlp}.b_out": _bias(block.down)}
    state |= {"unembed.W_U": network.classifier.weight.T, "unembed.b_U": _bias(network.classifier)}
    return {name: weight.detach().clone(memory_format=torch.contiguous_format) for name, weight in state.items()}


class _Weights:
    """Checked access to the weights of a state dict."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state

    def get(self, name: str, layout: str, dimensions: int | None = None) -> Tensor:
        """A weight with this number of dimensions; ``layout`` is for the error message."""
        if name not in self._state:
            raise UserError(f"the state dict has no {name}: it must come from TransformerLens or Nanda et al. (2023)")
        weight = torch.as_tensor(self._state[name])
        if dimensions is not None and weight.ndim != dimensions:
            raise UserError(f"{name} has shape {tuple(weight.shape)}, expected {dimensions} dimensions: {layout}")
        return weight

    def of(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A weight of this shape."""
        weight = self.get(name, "")
        if weight.shape != shape:
            raise UserError(f"{name} has shape {tuple(weight.shape)}, expected {shape}")
        return weight

    def bias(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A bias of this shape; zeros if it is missing."""
        return self.of(name, shape) if name in self._state else torch.zeros(shape)

    def biases(self) -> Any:
        """The Transformer's ``bias`` option: which layers have biases."""
        if any(re.search(r"\.b_[QKVOU]$", name) for name in self._state):
            return "all"
        return "mlp" if any(re.search(r"\.b_(in|out)$", name) for name in self._state) else "none"


def _blocks(network: Transformer) -> list[Any]:
    return list(network.blocks)


def _bias(layer: Any) -> Tensor:
    bias: Tensor | None = layer.bias
    return layer.weight.new_zeros(layer.out_features) if bias is None else bias


def _check_kind(network: Transformer) -> None:
    norms = [module for module in network.modules() if isinstance(module, nn.LayerNorm)]
    if norms or network.positions is None or network.concatenate or network.read > 1:
        raise UserError(
            "only a Transformer with norm none, positions learned and readout last can be converted, for "
            "pairs of symbols"
        )
