"""The transformer, against PyTorch's own encoder layers with the same weights."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.models import Transformer
from grokking_pl.sizes import Sizes

PAIRS = Sizes(inputs=2, outputs=7, symbols=7)
EQUATIONS = Sizes(inputs=6, outputs=20, symbols=7, tokens=20, first_symbol=5, answers=2)
ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


class Reference(nn.Module):
    """The same network of ``torch.nn.TransformerEncoderLayer``, with an explicit mask."""

    def __init__(self, sizes, layers, heads, width, activation, norm, bias, dropout=0.0):
        super().__init__()
        self.tokens = nn.Embedding(sizes.tokens or sizes.symbols, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, ACTIVATIONS[activation], batch_first=True, norm_first=norm == "before",
            bias=bias == "all",
        )  # fmt: skip
        self.encoder = nn.TransformerEncoder(
            layer, layers, nn.LayerNorm(width) if norm == "before" else None, enable_nested_tensor=False
        )
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(sizes.inputs))
        self.answers = sizes.answers
        inputs = width if sizes.answers else width * sizes.inputs
        self.classifier = nn.Linear(inputs, sizes.outputs, bias=bias == "all")

    def forward(self, inputs, positions, causal=True):
        stream = self.encoder(self.tokens(inputs) + positions, self.mask if causal else None)
        return self.classifier(stream[:, -self.answers :] if self.answers else stream.flatten(1))


def copied(ours: Transformer, theirs: Reference) -> None:
    """Give the reference our weights, where they have them at all."""
    theirs.tokens.load_state_dict(ours.tokens.state_dict())
    theirs.classifier.load_state_dict(ours.classifier.state_dict())
    for block, layer in zip(ours.blocks, theirs.encoder.layers, strict=True):
        with torch.no_grad():
            layer.self_attn.in_proj_weight.copy_(block.attention.query_key_value.weight)
            if block.attention.query_key_value.bias is not None:
                layer.self_attn.in_proj_bias.copy_(block.attention.query_key_value.bias)
        layer.self_attn.out_proj.load_state_dict(block.attention.output.state_dict())
        layer.linear1.load_state_dict(block.up.state_dict())
        layer.linear2.load_state_dict(block.down.state_dict())
        for norm, own in zip((layer.norm1, layer.norm2), block.norms, strict=True):
            with torch.no_grad():
                norm.weight.copy_(own.weight)
                if norm.bias is not None:
                    norm.bias.copy_(own.bias)
    if theirs.encoder.norm is not None:
        theirs.encoder.norm.load_state_dict(ours.final_norm.state_dict())


def perturbed(network: nn.Module) -> None:
    """Give every parameter a value of its own, also those that begin as 0 or 1."""
    draws = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draws))


@pytest.mark.parametrize("sizes", [PAIRS, EQUATIONS], ids=["pairs", "equations"])
@pytest.mark.parametrize("norm", ["before", "after"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("activation", "bias"), [("relu", "all"), ("gelu", "none")])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
def test_same_as_torch(sizes, norm, causal, activation, bias, positions):
    torch.manual_seed(3)
    readout = "last" if sizes.answers else "concatenate"
    ours = Transformer(
        sizes, layers=2, heads=4, width=24, activation=activation, norm=norm, causal=causal, positions=positions,
        readout=readout, bias=bias,
    )  # fmt: skip
    theirs = Reference(sizes, 2, 4, 24, activation, norm, bias)
    if bias == "all":
        perturbed(ours)
    copied(ours, theirs)
    inputs = torch.randint(sizes.tokens or sizes.symbols, (33, sizes.inputs))
    added = {
        "learned": lambda: ours.positions.weight[: sizes.inputs],
        "sinusoidal": lambda: ours.sinusoids[: sizes.inputs],
        "none": lambda: torch.zeros(()),
    }[positions]()
    outputs, expected = ours(inputs), theirs(inputs, added, causal)
    assert outputs.shape == ((33, 2, 20) if sizes.answers else (33, 7))
    assert torch.allclose(outputs, expected, rtol=0, atol=1e-5)
    # The gradients as well, so that no weight is used otherwise than there.
    draws = torch.randn_like(outputs)
    (outputs * draws).sum().backward()
    (expected * draws).sum().backward()
    assert torch.allclose(ours.tokens.weight.grad, theirs.tokens.weight.grad, rtol=1e-4, atol=1e-4)
    attention = ours.blocks[0].attention.query_key_value.weight.grad
    assert torch.allclose(attention, theirs.encoder.layers[0].self_attn.in_proj_weight.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", ["before", "after"])
def test_parameter_count(norm):
    ours = Transformer(PAIRS, layers=3, heads=2, width=16, norm=norm)
    theirs = Reference(PAIRS, 3, 2, 16, "relu", norm, "all")
    positions = 2 * 16
    assert sum(p.numel() for p in ours.parameters()) == positions + sum(p.numel() for p in theirs.parameters())


def test_published_sizes():
    """Section 4.2 and the two later settings, counted by hand."""
    p, width = 53, 256
    block = 4 * width * width + 4 * width + 2 * 4 * width * width + 5 * width + 4 * width
    paper = Transformer(Sizes(2, p, p))
    assert sum(q.numel() for q in paper.parameters()) == (
        (p + 2) * width + 2 * block + 2 * width + 2 * width * p + p
    )  # fmt: skip
    nanda = Transformer(
        Sizes(2, 113, 113), layers=1, width=128, norm="none", readout="last", equals=True, bias="mlp",
        initialisation="normal", embedding_scale=128**-0.5,
    )  # fmt: skip
    assert sum(q.numel() for q in nanda.parameters()) == (
        (114 + 3) * 128 + 4 * 128 * 128 + 2 * 128 * 512 + 512 + 128 + 113 * 128
    )  # fmt: skip
    assert nanda.tokens.weight.std().item() == pytest.approx(128**-0.5, rel=0.05)
    assert nanda.blocks[0].up.weight.std().item() == pytest.approx(128**-0.5, rel=0.05)
    assert nanda.classifier.weight.std().item() == pytest.approx(113**-0.5, rel=0.05)
    assert not nanda.blocks[0].up.bias.any()


class Published(nn.Module):
    """The network of figures 1 and 7: encoder layers of PyTorch on embeddings, no mask, no positions, no last norm."""

    def __init__(self, p, width, hidden, layers, dropout):
        super().__init__()
        self.embeddings = nn.Embedding(p, width)
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(width, 1, hidden, dropout, batch_first=True, norm_first=True)
                for _ in range(layers)
            )
        )
        self.linear = nn.Linear(2 * width, p)

    def forward(self, pairs):
        return self.linear(self.layers(self.embeddings(pairs)).flatten(1))


def published(p, width, hidden, layers=2, dropout=0.0, **options):
    """Theirs and ours, drawn from the same seed."""
    torch.manual_seed(1)
    theirs = Published(p, width, hidden, layers, dropout)
    torch.manual_seed(1)
    ours = Transformer(
        Sizes(2, p, p), layers, 1, width, hidden / width, final_norm=False, causal=False, positions="none",
        initialisation="encoder_layer", dropout=dropout, attention_dropout=dropout, mlp_dropout=dropout, **options,
    )  # fmt: skip
    return theirs, ours


def test_published_network_to_the_bit():
    theirs, ours = published(53, 256, 256)
    assert sum(q.numel() for q in ours.parameters()) == sum(q.numel() for q in theirs.parameters()) == 832309
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
    pairs = torch.cartesian_prod(torch.arange(53), torch.arange(53))
    outputs, expected = ours(pairs), theirs(pairs)
    assert torch.allclose(outputs, expected, rtol=0, atol=1e-6)
    nn.functional.cross_entropy(outputs, pairs.sum(1) % 53).backward()
    nn.functional.cross_entropy(expected, pairs.sum(1) % 53).backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine.grad, other.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("readout", ["concatenate", "last"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", ["learned", "none"])
@pytest.mark.parametrize("bias", ["all", "none"])
def test_merged_weights_of_one_head_are_exact(monkeypatch, readout, causal, positions, bias):
    """With the same dropout, outputs and gradients are those of separate queries, keys, values and outputs."""
    torch.manual_seed(1)
    network = Transformer(
        PAIRS, layers=2, heads=1, width=12, causal=causal, positions=positions, readout=readout, bias=bias, equals=True,
        dropout=0.2, attention_dropout=0.2,
    ).double()  # fmt: skip
    perturbed(network)
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    attention = network.blocks[0].attention
    assert attention.merging_pays(3 * 49, 49)
    assert not attention.merging_pays(3, 1)
    draws = torch.randn(49, 7, dtype=torch.float64)

    def outputs_and_gradients():
        torch.manual_seed(2)
        outputs = network(pairs)
        return outputs, *torch.autograd.grad((outputs * draws).sum(), tuple(network.parameters()))

    merged = outputs_and_gradients()
    monkeypatch.setattr(type(attention), "merging_pays", lambda *_: False)
    for mine, other in zip(merged, outputs_and_gradients(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-10, atol=1e-11)
    network.eval()
    monkeypatch.undo()
    assert not attention.merging_pays(3 * 49, 49)


@pytest.mark.parametrize("seed", range(3))
def test_published_dropout_to_the_bit(seed):
    """One pair at a time, where PyTorch's layer draws its masks in the order of ours."""
    theirs, ours = published(7, 32, 16, layers=3, dropout=0.3)
    for pair in ([[2, 5]], [[6, 6]]):
        torch.manual_seed(seed)
        expected = theirs(torch.tensor(pair))
        torch.manual_seed(seed)
        assert torch.equal(ours(torch.tensor(pair)), expected)


def test_final_norm_is_an_option():
    for norm in ("before", "after", "none"):
        for chosen in (True, False, None):
            network = Transformer(PAIRS, width=8, norm=norm, final_norm=chosen)
            expected = norm == "before" if chosen is None else chosen
            assert isinstance(network.final_norm, nn.LayerNorm) == expected


def test_xavier_with_zero_bias():
    torch.manual_seed(0)
    network = Transformer(Sizes(2, 53, 53), width=64, mlp_ratio=2, initialisation="xavier")
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert len(linear) == 2 * 4 + 1
    for layer in linear:
        bound = math.sqrt(6 / (layer.in_features + layer.out_features))
        assert not layer.bias.any()
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)


def test_groups():
    network = Transformer(PAIRS, layers=1, heads=2, width=8, equals=True, readout="last")
    embeddings = list(network.embedding_parameters())
    assert [tuple(parameter.shape) for parameter in embeddings] == [(8, 8), (3, 8)]
    assert embeddings[0] is network.tokens.weight
    assert torch.equal(network.embeddings, network.tokens.weight[:7])
    assert len(list(Transformer(PAIRS, width=8, positions="sinusoidal").embedding_parameters())) == 1
    equations = Transformer(EQUATIONS, width=8, readout="last")
    assert torch.equal(equations.embeddings, equations.tokens.weight[5:12])


def test_causal_outputs_ignore_what_follows():
    network = Transformer(EQUATIONS, width=16, readout="last").eval()
    inputs = torch.randint(20, (9, 6))
    changed = inputs.clone()
    changed[:, 5] = (inputs[:, 5] + 1) % 20
    first, second = network(inputs), network(changed)
    assert torch.equal(first[:, 0], second[:, 0])
    assert not torch.allclose(first[:, 1], second[:, 1])
    free = Transformer(EQUATIONS, width=16, readout="last", causal=False).eval()
    assert not torch.allclose(free(inputs)[:, 0], free(changed)[:, 0])


def test_equals_is_a_token_of_its_own():
    network = Transformer(PAIRS, layers=1, heads=2, width=8, equals=True, readout="last")
    pairs = torch.tensor([[0, 6], [3, 3]])
    before = network(pairs)
    with torch.no_grad():
        network.tokens.weight[7] *= -1
    assert not torch.allclose(before, network(pairs))


def test_positions_tell_the_operands_apart():
    pairs = torch.tensor([[2, 5]])
    for positions in ("learned", "sinusoidal"):
        network = Transformer(PAIRS, width=16, positions=positions, readout="last", equals=True)
        assert not torch.allclose(network(pairs), network(pairs.flip(1)), atol=1e-4)
    blind = Transformer(PAIRS, layers=1, width=16, positions="none", readout="last", equals=True)
    assert torch.allclose(blind(pairs), blind(pairs.flip(1)), atol=1e-6)


@pytest.mark.parametrize("kind", ["dropout", "attention_dropout", "mlp_dropout", "embedding_dropout"])
def test_dropout(kind):
    torch.manual_seed(0)
    network = Transformer(PAIRS, width=32, **{kind: 0.5})
    pairs = torch.randint(7, (50, 2))
    assert not torch.allclose(network(pairs), network(pairs))
    network.eval()
    assert torch.equal(network(pairs), network(pairs))
    plain = Transformer(PAIRS, width=32).eval()
    plain.load_state_dict(network.state_dict())
    assert torch.equal(network(pairs), plain(pairs))


def test_dropout_leaves_the_mean():
    """A single block without norms: what is dropped of the residual stream is made up for."""
    torch.manual_seed(0)
    network = Transformer(PAIRS, layers=1, heads=2, width=16, norm="none", embedding_dropout=0.3, dropout=0.0)
    stream = network.tokens(torch.tensor([[1, 2]]))
    many = network.embedding_dropout(stream.expand(20_000, 2, 16))
    assert torch.allclose(many.mean(0), stream[0], atol=0.06)
    assert (many == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_sinusoids_by_their_formula():
    network = Transformer(EQUATIONS, width=12, heads=2, positions="sinusoidal", readout="last", context=50)
    assert network.sinusoids.shape == (50, 12)
    for t in (0, 7, 49):
        for i in range(12):
            angle = t / 10000 ** ((i - i % 2) / 12)
            assert network.sinusoids[t, i] == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-6)


@pytest.mark.parametrize("sizes", [PAIRS, EQUATIONS], ids=["pairs", "equations"])
def test_a_batch_of_networks_as_one(sizes):
    """``torch.func.vmap``, by which diagrams train many networks at once."""
    networks = [
        Transformer(sizes, layers=2, heads=2, width=8, readout="last" if sizes.answers else "concatenate")
        for _ in range(3)
    ]
    inputs = torch.randint(7, (11, sizes.inputs))
    stacked = {name: torch.stack([dict(n.named_parameters())[name] for n in networks]) for name, _ in
               networks[0].named_parameters()}  # fmt: skip

    def loss(parameters):
        return functional_call(networks[0], parameters, (inputs,)).square().mean()

    gradients = vmap(grad(loss))(stacked)
    for k, network in enumerate(networks):
        network(inputs).square().mean().backward()
        for name, parameter in network.named_parameters():
            assert torch.allclose(gradients[name][k], parameter.grad, rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "multiple of 3"),
        ({"layers": 0}, "layers is 0"),
        ({"heads": 0}, "heads is 0"),
        ({"width": -8}, "width is -8"),
        ({"mlp_ratio": 0.0}, "mlp_ratio is 0"),
        ({"activation": "step"}, "activation is 'step'"),
        ({"dropout": 1.0}, "dropout is 1"),
        ({"attention_dropout": -0.1}, "attention_dropout is -0.1"),
        ({"mlp_dropout": 2.0}, "mlp_dropout is 2"),
        ({"embedding_scale": 0.0}, "embedding_scale is 0"),
        ({"context": 1}, "context is 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(UserError, match=message):
        Transformer(PAIRS, **options)


def test_data_that_do_not_fit():
    with pytest.raises(UserError, match="set readout to last"):
        Transformer(EQUATIONS)
    with pytest.raises(UserError, match="data are vectors"):
        Transformer(Sizes(inputs=784, outputs=10))


@pytest.mark.parametrize("norm", ["before", "after", "none"])
def test_first_block_by_symbol_is_exact(norm):
    """All pairs at once, the first block computed symbol by symbol, against one pair at a time."""
    torch.manual_seed(1)
    network = Transformer(PAIRS, layers=2, heads=2, width=12, norm=norm, positions="none").double()
    perturbed(network)
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    draws = torch.randn(49, 7, dtype=torch.float64)
    whole = torch.autograd.grad((network(pairs) * draws).sum(), tuple(network.parameters()))
    one_by_one = torch.cat([network(pair) for pair in pairs.split(1)])
    assert torch.allclose(network(pairs), one_by_one, rtol=1e-12, atol=1e-12)
    apart = torch.autograd.grad((one_by_one * draws).sum(), tuple(network.parameters()))
    for mine, other in zip(whole, apart, strict=True):
        assert torch.allclose(mine, other, rtol=1e-10, atol=1e-11)
