"""Weights of TransformerLens and of Nanda et al., against a forward pass of their layouts in plain torch."""

import math

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.models import Transformer, from_transformer_lens, named_activations, to_transformer_lens
from grokking_pl.sizes import Sizes

P, D, H, M, OUT, C = 5, 8, 2, 12, 6, 3  # symbols, width, heads, hidden units, outputs, positions
K = D // H


def drawn(shapes, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}


def nanda(layers=1, **options):
    """Weights in the layout of Nanda et al., without biases of the attention."""
    shapes = {"embed.W_E": (D, P + 1), "pos_embed.W_pos": (C, D), "unembed.W_U": (D, OUT)}
    for n in range(layers):
        shapes |= {f"blocks.{n}.attn.W_{kind}": (H, K, D) for kind in "QKV"}
        shapes |= {f"blocks.{n}.attn.W_O": (D, H * K), f"blocks.{n}.mlp.W_in": (M, D), f"blocks.{n}.mlp.b_in": (M,)}
        shapes |= {f"blocks.{n}.mlp.W_out": (D, M), f"blocks.{n}.mlp.b_out": (D,)}
    buffers = {f"blocks.{n}.attn.mask": torch.tril(torch.ones(C, C)) for n in range(layers)}
    return drawn(shapes, **options) | buffers


def lens(layers=1, **options):
    """Weights in the layout of TransformerLens, with all its biases."""
    shapes = {"embed.W_E": (P + 1, D), "pos_embed.W_pos": (C, D), "unembed.W_U": (D, OUT), "unembed.b_U": (OUT,)}
    for n in range(layers):
        shapes |= {f"blocks.{n}.attn.W_{kind}": (H, D, K) for kind in "QKV"}
        shapes |= {f"blocks.{n}.attn.b_{kind}": (H, K) for kind in "QKV"}
        shapes |= {f"blocks.{n}.attn.W_O": (H, K, D), f"blocks.{n}.attn.b_O": (D,), f"blocks.{n}.mlp.W_in": (D, M)}
        shapes |= {f"blocks.{n}.mlp.b_in": (M,), f"blocks.{n}.mlp.W_out": (M, D), f"blocks.{n}.mlp.b_out": (D,)}
    return drawn(shapes, **options)


def forward_nanda(state, pairs, layers=1):
    """As in their notebook, token by token; also attention patterns and neurons of the last layer at the last token."""
    tokens = torch.cat([pairs, torch.full((len(pairs), 1), P)], 1)
    x = torch.einsum("dbp->bpd", state["embed.W_E"][:, tokens]) + state["pos_embed.W_pos"]
    for n in range(layers):
        q, k, v = (torch.einsum("ihd,bpd->biph", state[f"blocks.{n}.attn.W_{kind}"], x) for kind in "QKV")
        scores = torch.einsum("biph,biqh->biqp", k, q) / math.sqrt(K)
        scores = scores.masked_fill(torch.ones(C, C).tril() == 0, -1e10)
        pattern = scores.softmax(-1)
        z = torch.einsum("biph,biqp->biqh", v, pattern)
        x = x + torch.einsum("df,bqf->bqd", state[f"blocks.{n}.attn.W_O"], z.transpose(1, 2).flatten(2))
        pre = torch.einsum("md,bpd->bpm", state[f"blocks.{n}.mlp.W_in"], x) + state[f"blocks.{n}.mlp.b_in"]
        neurons = torch.relu(pre)
        x = x + torch.einsum("dm,bpm->bpd", state[f"blocks.{n}.mlp.W_out"], neurons) + state[f"blocks.{n}.mlp.b_out"]
    return (x @ state["unembed.W_U"])[:, -1], pattern[:, :, -1:], neurons[:, -1:]


def forward_lens(state, pairs, layers=1):
    x = state["embed.W_E"][torch.cat([pairs, torch.full((len(pairs), 1), P)], 1)] + state["pos_embed.W_pos"]
    for n in range(layers):
        at = f"blocks.{n}.attn."
        q, k, v = (torch.einsum("bpd,idh->bpih", x, state[f"{at}W_{kind}"]) + state[f"{at}b_{kind}"] for kind in "QKV")
        scores = torch.einsum("bqih,bpih->biqp", q, k) / math.sqrt(K)
        pattern = scores.masked_fill(torch.ones(C, C).tril() == 0, -1e10).softmax(-1)
        z = torch.einsum("bpih,biqp->bqih", v, pattern)
        x = x + torch.einsum("bqih,ihd->bqd", z, state[f"{at}W_O"]) + state[f"{at}b_O"]
        neurons = torch.relu(x @ state[f"blocks.{n}.mlp.W_in"] + state[f"blocks.{n}.mlp.b_in"])
        x = x + neurons @ state[f"blocks.{n}.mlp.W_out"] + state[f"blocks.{n}.mlp.b_out"]
    return (x @ state["unembed.W_U"] + state["unembed.b_U"])[:, -1]


PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))


@pytest.mark.parametrize("layers", [1, 2])
def test_same_outputs(layers):
    state = nanda(layers, dtype=torch.float64)
    network = from_transformer_lens({name: value.numpy() for name, value in state.items()})
    outputs, pattern, neurons = forward_nanda(state, PAIRS, layers)
    assert torch.allclose(network(PAIRS), outputs, atol=1e-12)
    found = named_activations(network)
    assert torch.allclose(found["outputs"].flatten(0, 1), outputs, atol=1e-12)
    assert torch.allclose(found[f"blocks.{layers - 1}.attention"].flatten(0, 1), pattern, atol=1e-12)
    assert torch.allclose(found[f"blocks.{layers - 1}.activation"].flatten(0, 1), neurons, atol=1e-12)
    state = lens(layers, dtype=torch.float64)
    assert torch.allclose(from_transformer_lens(state)(PAIRS), forward_lens(state, PAIRS, layers), atol=1e-12)


def test_there_and_back():
    state = lens(2)
    again = to_transformer_lens(from_transformer_lens(state))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)
    network = from_transformer_lens(nanda())
    state = to_transformer_lens(network)
    assert not state["blocks.0.attn.b_Q"].any()
    assert torch.allclose(from_transformer_lens(state)(PAIRS), network(PAIRS), atol=1e-6)
    state["embed.W_E"].zero_()  # copies
    assert network.tokens.weight.any()


def test_pattern_of_every_token_that_is_read():
    network = Transformer(Sizes(inputs=2, outputs=OUT, symbols=P), layers=2, heads=H, width=D)
    pattern = named_activations(network, PAIRS[:4])["blocks.0.attention"]
    assert pattern.shape == (4, H, 2, 2)
    assert torch.allclose(pattern.sum(-1), torch.ones(4, H, 2))
    assert not pattern[:, :, 0, 1].any()  # the mask
    assert network.training


WRONG = {
    "shape": ({"blocks.0.mlp.W_out": torch.zeros(D, M + 1)}, r"W_out has shape \(8, 13\), expected \(8, 12\)"),
    "dimensions": ({"unembed.W_U": torch.zeros(3)}, "W_U has shape .*expected 2 dimensions: D O"),
    "norm": ({"blocks.0.ln1.w": torch.ones(D)}, "has layer norms"),
    "positions": ({"pos_embed.W_pos": torch.zeros(2, D)}, "has 2 positions, expected at least 3"),
    "heads": ({"blocks.0.attn.W_K": torch.zeros(H, K + 1, D)}, r"W_K has shape \(2, 5, 8\), expected \(2, 4, 8\)"),
    "embedding": ({"embed.W_E": torch.zeros(D + 1, P + 1)}, r"W_E has shape \(9, 6\), expected \(8, 6\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_shapes(case):
    change, message = WRONG[case]
    with pytest.raises(UserError, match=message):
        from_transformer_lens(nanda() | change)


def test_missing_weight_and_other_networks():
    state = nanda()
    del state["pos_embed.W_pos"]
    with pytest.raises(UserError, match=r"no pos_embed\.W_pos"):
        from_transformer_lens(state)
    with pytest.raises(UserError, match="norm none, positions learned and readout last"):
        to_transformer_lens(Transformer(Sizes(inputs=2, outputs=OUT, symbols=P), heads=H, width=D))
    with pytest.raises(UserError, match="Linear embeds no symbols"):
        named_activations(torch.nn.Linear(2, 2))
