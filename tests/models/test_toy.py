import pytest
import torch
from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.models import MLP, PermutationModel, ToyModel
from grokking_pl.sizes import Sizes

SIZES = Sizes(inputs=2, outputs=30, symbols=10)


def test_published_draws_of_the_toy():
    torch.manual_seed(58)
    model = ToyModel(SIZES)
    torch.manual_seed(58)
    embeddings = torch.rand(10, 1) - 1 / 2
    decoder = nn.Sequential(nn.Linear(1, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 30))
    assert torch.equal(model.embeddings, embeddings)
    pairs = torch.tensor([[0, 3], [9, 9]])
    assert torch.equal(model(pairs), decoder(embeddings[pairs[:, 0]] + embeddings[pairs[:, 1]]))


def test_published_draws_of_the_permutation_model():
    torch.manual_seed(0)
    model = PermutationModel(Sizes(2, 30, 6), published_draws=True)
    torch.manual_seed(0)
    nn.Linear(1, 200), nn.Linear(200, 200), nn.Linear(200, 9)
    decoder = nn.Sequential(nn.Linear(9, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 30))
    embeddings = (torch.rand(6, 9) - 1 / 2) * 0.1
    assert torch.equal(model.embeddings, embeddings)
    a, b = embeddings[1].view(3, 3), embeddings[4].view(3, 3)
    torch.testing.assert_close(model(torch.tensor([[1, 4]])), decoder((a @ b).view(1, 9)))
    torch.testing.assert_close(model.penalty(), 1e-3 * embeddings.abs().mean())


def test_published_long_draws_of_the_toy():
    """The authors' script of 10^5 steps: a network of another experiment, the decoder, the embeddings."""
    torch.manual_seed(58)
    model = ToyModel(SIZES, published_long_draws=True)
    torch.manual_seed(58)
    nn.Sequential(nn.Linear(10, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 1))
    decoder = nn.Sequential(nn.Linear(1, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 30))
    embeddings = torch.rand(10, 1) - 1 / 2
    assert torch.equal(model.embeddings, embeddings)
    pairs = torch.tensor([[0, 3], [9, 9]])
    assert torch.equal(model(pairs), decoder(embeddings[pairs[:, 0]] + embeddings[pairs[:, 1]]))


@pytest.mark.parametrize(("combine", "depth"), [("mean", 7), ("sum", 2)])
def test_published_network_of_figure_2(combine, depth):
    """In two dimensions: no activation between the last two layers, embeddings that start around (1, 1)."""
    sizes = Sizes(2, 21, 11)
    torch.manual_seed(4)
    model = ToyModel(
        sizes, 2, depth + 1, 16, "leaky_relu", combine, embedding_distribution="normal", embedding_shift=1.0,
        last_activation=False,
    )  # fmt: skip
    torch.manual_seed(4)
    embeddings = torch.randn(11, 2) + 1
    layers = [nn.Linear(2, 16), nn.LeakyReLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(16, 16), nn.LeakyReLU()]
    decoder = nn.Sequential(*layers[:-1], nn.Linear(16, 21))
    assert torch.equal(model.embeddings, embeddings)
    pairs = torch.tensor([[0, 3], [9, 10]])
    middle = embeddings[pairs[:, 0]] + embeddings[pairs[:, 1]]
    assert torch.equal(model(pairs), decoder(middle / 2 if combine == "mean" else middle))


def test_decoder_without_bias():
    assert [name for name, _ in ToyModel(SIZES, bias=False).decoder.named_parameters()] == [
        "0.weight", "2.weight", "4.weight",
    ]  # fmt: skip


def test_mean_and_scales():
    torch.manual_seed(1)
    plain = ToyModel(SIZES, embedding_dim=2)
    torch.manual_seed(1)
    scaled = ToyModel(SIZES, embedding_dim=2, combine="mean", embedding_scale=2, decoder_scale=3)
    assert torch.equal(scaled.embeddings, 2 * plain.embeddings)
    for ours, theirs in zip(scaled.decoder.parameters(), plain.decoder.parameters(), strict=True):
        assert torch.equal(ours, 3 * theirs)
    pairs = torch.tensor([[2, 5]])
    middle = (scaled.embeddings[2] + scaled.embeddings[5]) / 2
    assert torch.equal(scaled(pairs), scaled.decoder(middle[None]))


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (lambda: ToyModel(SIZES, embedding_dim=0), "embedding_dim is 0"),
        (lambda: ToyModel(SIZES, decoder_scale=0), "decoder_scale is 0"),
        (lambda: ToyModel(SIZES, embedding_scale=-1), "embedding_scale is -1"),
        (lambda: ToyModel(SIZES, embedding_shift=float("inf")), "embedding_shift is inf"),
        (lambda: ToyModel(SIZES, embedding_distribution="cauchy"), "must be uniform or normal"),
        (lambda: PermutationModel(SIZES, embedding_dim=8), "must be a square"),
        (lambda: PermutationModel(SIZES, l1=-1), "l1 is -1"),
        (lambda: ToyModel(Sizes(784, 10)), "the data are vectors"),
        (lambda: MLP(SIZES), "pairs of symbols"),
    ],
)
def test_mistakes(build, wanted):
    with pytest.raises(UserError, match=wanted):
        build()
