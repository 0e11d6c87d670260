"""A network's attention patterns, neurons and outputs, by name, in one call."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from grokking_pl.errors import UserError
from grokking_pl.models.contract import embeddings_if_any
from grokking_pl.models.transformer import Attention

NO_NEURONS = (nn.Identity, nn.Dropout, nn.Flatten)
"""Modules without weights that are not nonlinearities."""


@torch.no_grad()
def named_activations(network: nn.Module, inputs: Shaped[Tensor, "batch ..."] | None = None) -> dict[str, Tensor]:
    """The activations of a network in evaluation mode, by module name.

    For a one-layer `Transformer` these are ``blocks.0.attention``, the attention pattern (batch x heads x tokens
    whose output is read x tokens), ``blocks.0.activation``, the neurons (batch x tokens read x hidden units), and
    ``outputs``, the logits. Other networks have the outputs of each nonlinearity, and ``outputs``. A nonlinearity
    called several times has its last activations. Cost: 0.2 s on one core for all pairs of p = 113 and the transformer
    of Nanda et al.

    Args:
        network: its mode is restored afterwards.
        inputs: inputs of the network; None for all pairs of symbols (a, b), whose a and b are then the first two
            dimensions of every tensor.

    Returns:
        Tensors on the network's device.

    Raises:
        UserError: inputs are None and the network embeds no symbols.

    >>> from grokking_pl.models import ToyModel
    >>> from grokking_pl.sizes import Sizes
    >>> found = named_activations(ToyModel(Sizes(inputs=2, outputs=3, symbols=5), width=20))
    >>> {name: tuple(values.shape) for name, values in found.items()}
    {'decoder.1': (5, 5, 20), 'decoder.3': (5, 5, 20), 'outputs': (5, 5, 3)}
    """
    pairs = all_pairs(network) if inputs is None else None
    kept: dict[str, Tensor] = {}
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, Attention):
            hooks.append(module.register_forward_hook(_keep(kept, name, _attention_pattern)))
        elif is_nonlinearity(module):
            hooks.append(module.register_forward_hook(_keep(kept, name, lambda module, inputs, output: output)))
    was_training = network.training
    network.eval()
    try:
        kept["outputs"] = network.forward(inputs if pairs is None else pairs)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    named = {name: kept[name] for name in (*(name for name in kept if name != "outputs"), "outputs")}
    if pairs is None:
        return named
    p = math.isqrt(len(pairs))
    return {name: values.unflatten(0, (p, p)) for name, values in named.items()}


def all_pairs(network: nn.Module) -> Int[Tensor, "pairs 2"]:
    """All pairs (a, b) of the symbols that a network embeds, a outer and b inner.

    Raises:
        UserError: it embeds no symbols, or reads more tokens than a pair.
    """
    embeddings = embeddings_if_any(network)
    symbols = getattr(network, "symbols", None)
    if embeddings is None and not isinstance(symbols, int):
        raise UserError(f"{type(network).__name__} embeds no symbols to form pairs of: give the inputs")
    if getattr(network, "answers", 0):
        raise UserError(f"{type(network).__name__} reads equations, not pairs of symbols: give the inputs")
    p = symbols if isinstance(symbols, int) else len(embeddings)  # type: ignore[arg-type]
    device = next(network.parameters()).device
    return torch.cartesian_prod(torch.arange(p, device=device), torch.arange(p, device=device))


def is_nonlinearity(module: nn.Module) -> bool:
    """Whether a module is a nonlinearity: it has neither weights nor submodules."""
    return not any(True for _ in module.children()) and not _has_tensors(module) and not isinstance(module, NO_NEURONS)


def _has_tensors(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def _keep(kept: dict[str, Tensor], name: str, what: Callable[..., Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        kept[name] = what(module, inputs, output)

    return hook


def _attention_pattern(
    attention: Attention, inputs: tuple[Any, ...], output: Tensor
) -> Float[Tensor, "batch heads read tokens"]:
    """Attention weights of each head, from each token whose output is read to every token; rows sum to 1."""
    projected, _, mask, read = inputs
    query, key, _ = (part.unflatten(2, (attention.heads, -1)).transpose(1, 2) for part in projected)  # (B, H, T, D / H)
    scores = query[:, :, -read:] @ key.mT / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask[-read:], -math.inf)
    return scores.softmax(-1)
