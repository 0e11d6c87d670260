"""Our transformer as a HookedTransformer: what it is built of, and its logits where TransformerLens is installed."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.models import Transformer, to_hooked_transformer
from grokking_pl.sizes import Sizes

P, OUT, WIDTH, HEADS = 5, 6, 8, 2


def network(**options):
    sizes = Sizes(inputs=2, outputs=OUT, symbols=P)
    options = {"layers": 2, "norm": "none", "readout": "last", "equals": True, **options}
    return Transformer(sizes, heads=HEADS, width=WIDTH, **options)


class Model(nn.Module):
    """Stands for a HookedTransformer: its weights and buffers have the names and shapes that its configuration says."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        c = SimpleNamespace(**config)
        h, d, k, m = c.n_heads, c.d_model, c.d_head, c.d_mlp
        attention = {f"W_{kind}": (h, d, k) for kind in "QKV"} | {f"b_{kind}": (h, k) for kind in "QKV"}
        attention |= {"W_O": (h, k, d), "b_O": (d,)}
        parts = {"embed": {"W_E": (c.d_vocab, d)}, "pos_embed": {"W_pos": (c.n_ctx, d)}}
        for n in range(c.n_layers):
            parts[f"blocks.{n}.attn"] = attention
            parts[f"blocks.{n}.mlp"] = {"W_in": (d, m), "b_in": (m,), "W_out": (m, d), "b_out": (d,)}
        parts["unembed"] = {"W_U": (d, c.d_vocab_out), "b_U": (c.d_vocab_out,)}
        for path, shapes in parts.items():
            at = self
            for name in path.split("."):
                if not hasattr(at, name):
                    at.add_module(name, nn.Module())
                at = getattr(at, name)
            for name, shape in shapes.items():
                at.register_parameter(name, nn.Parameter(torch.empty(shape, dtype=c.dtype)))
            if path.endswith("attn"):
                at.register_buffer("mask", torch.ones(c.n_ctx, c.n_ctx).tril())


def library(**contents):
    module = ModuleType("transformer_lens")
    vars(module).update(contents)
    return module


@pytest.mark.parametrize("causal", [True, False])
def test_what_it_is_built_of(monkeypatch, causal):
    stand_in = library(HookedTransformer=Model, HookedTransformerConfig=dict)
    monkeypatch.setitem(sys.modules, "transformer_lens", stand_in)
    ours = network(causal=causal, activation="gelu", mlp_ratio=1.5).double()
    model = to_hooked_transformer(ours)
    assert model.config == {
        "n_layers": 2, "n_ctx": 3, "n_heads": HEADS, "d_model": WIDTH, "d_head": 4, "d_mlp": 12, "d_vocab": P + 1,
        "d_vocab_out": OUT, "act_fn": "gelu", "attention_dir": "causal" if causal else "bidirectional",
        "normalization_type": None, "init_weights": False, "dtype": torch.float64, "device": "cpu",
    }  # fmt: skip
    assert torch.equal(model.embed.W_E, ours.tokens.weight)
    assert not model.training


@pytest.mark.parametrize("options", [{}, {"layers": 1, "bias": "mlp"}, {"causal": False}, {"activation": "silu"}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_logits(options, dtype):
    lens = pytest.importorskip("transformer_lens")
    try:
        _ = lens.HookedTransformer
    except ImportError:
        pytest.skip("this TransformerLens is one of those without HookedTransformer")
    ours = network(**options).to(dtype)
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    tokens = torch.cat([pairs, torch.full((len(pairs), 1), P)], 1)
    theirs = to_hooked_transformer(ours)(tokens)
    assert theirs.dtype == dtype
    assert torch.allclose(theirs[:, -1], ours(pairs), atol=1e-5 if dtype == torch.float32 else 1e-12)


def test_mistakes(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformer_lens", None)
    with pytest.raises(UserError, match=r"TransformerLens is not installed .*pip install 'grokking_pl\[lens\]'"):
        to_hooked_transformer(network())
    monkeypatch.setitem(sys.modules, "transformer_lens", library())  # as from version 4 on
    with pytest.raises(UserError, match="TransformerLens 4 has no HookedTransformer: pip install 'transformer-lens<4'"):
        to_hooked_transformer(network())
    stand_in = library(HookedTransformer=Model, HookedTransformerConfig=lambda **config: {**config, "n_layers": 3})
    monkeypatch.setitem(sys.modules, "transformer_lens", stand_in)
    with pytest.raises(UserError, match=r"other weights \(blocks.2.attn.W_Q\)"):
        to_hooked_transformer(network())
    with pytest.raises(UserError, match="no nonlinearity Tanh"):
        to_hooked_transformer(network(activation="tanh"))
    with pytest.raises(UserError, match="norm none, positions learned and readout last"):
        to_hooked_transformer(network(norm="before"))
