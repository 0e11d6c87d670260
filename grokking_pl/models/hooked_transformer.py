"""Conversion of our transformer to a ``HookedTransformer`` of TransformerLens, for tools that require one."""

from typing import Any

from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.models.transformer import Transformer
from grokking_pl.models.transformer_lens import to_transformer_lens

ACTIVATION_NAMES: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.SiLU: "silu", nn.GELU: "gelu"}
"""TransformerLens's names of the nonlinearities it supports."""


def to_hooked_transformer(network: Transformer) -> Any:
    """A ``HookedTransformer`` of TransformerLens with our network's weights, and the same logits up to rounding.

    It reads the tokens (a, b, =), where ``=`` is number p if our network appends it, and returns logits at every token;
    ours are those at the last. It has our network's device and precision, and is in evaluation mode.

    Args:
        network: transformer without layer norms, with learned positions, and read at the last token.

    Raises:
        UserError: the network is of another kind, TransformerLens lacks its nonlinearity, or no version of
            TransformerLens before 4, which has ``HookedTransformer``, is installed.
    """
    state = to_transformer_lens(network)
    block: Any = network.blocks[0]
    activation = ACTIVATION_NAMES.get(type(block.activation))
    if activation is None or getattr(block.activation, "approximate", "none") != "none":
        raise UserError(
            f"TransformerLens has no nonlinearity {block.activation}: train with one of "
            f"{', '.join(ACTIVATION_NAMES.values())}"
        )
    model_class, config_class = _classes()
    embedding = state["embed.W_E"]
    heads, width, size = state["blocks.0.attn.W_Q"].shape
    config = config_class(
        n_layers=len(network.blocks),
        n_ctx=len(state["pos_embed.W_pos"]),
        n_heads=heads,
        d_model=width,
        d_head=size,
        d_mlp=state["blocks.0.mlp.W_in"].shape[1],
        d_vocab=len(embedding),
        d_vocab_out=state["unembed.W_U"].shape[1],
        act_fn=activation,
        attention_dir="bidirectional" if network.mask is None else "causal",
        normalization_type=None,
        init_weights=False,
        dtype=embedding.dtype,
        device=str(embedding.device),
    )
    model = model_class(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    others = [name for name in (*missing, *unexpected) if not name.endswith((".mask", ".IGNORE"))]
    if others:
        raise UserError(f"this version of TransformerLens has other weights ({others[0]}): install one of 2.9 to 3.9")
    return model.eval()


def _classes() -> tuple[Any, Any]:
    """The classes ``HookedTransformer`` and ``HookedTransformerConfig``."""
    try:
        from transformer_lens import HookedTransformer, HookedTransformerConfig
    except ModuleNotFoundError as error:
        raise UserError(
            f"TransformerLens is not installed ({error}): pip install 'grokking_pl[lens]', or use only the weights, "
            "with to_transformer_lens"
        ) from None
    except ImportError:
        raise UserError(
            "TransformerLens 4 has no HookedTransformer: pip install 'transformer-lens<4', or pass the weights of "
            "to_transformer_lens to its convert_tl_checkpoint"
        ) from None
    return HookedTransformer, HookedTransformerConfig
