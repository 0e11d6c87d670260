"""One optimizer for both parts of a network, against two of PyTorch's."""

import copy

import pytest
import torch
from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.models import MLP
from grokking_pl.sizes import Sizes
from grokking_pl.training import GrokkingModule, GroupOptions, build_optimizer


def toy():
    """Embeddings of seven symbols and a decoder."""
    torch.manual_seed(0)
    return nn.ModuleDict({"embeddings": nn.Embedding(7, 3), "decoder": nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))})


def train(network, optimizers, steps=50):
    draws = torch.Generator().manual_seed(1)
    for _ in range(steps):
        pairs = torch.randint(7, (11, 2), generator=draws)
        targets = torch.randn(11, 2, generator=draws)
        for optimizer in optimizers:
            optimizer.zero_grad()
        nn.functional.mse_loss(network["decoder"](network["embeddings"](pairs).sum(1)), targets).backward()
        for optimizer in optimizers:
            optimizer.step()


def torch_optimizer(parameters, options: GroupOptions, fused: bool):
    kind = torch.optim.AdamW if options.decoupled else torch.optim.Adam
    return kind(
        parameters,
        lr=options.lr,
        weight_decay=options.weight_decay,
        betas=options.betas,
        eps=options.eps,
        fused=fused,
    )


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("embeddings_decoupled", [True, False])
@pytest.mark.parametrize("decoder_decoupled", [True, False])
def test_equals_two_optimizers_to_the_bit(fused, embeddings_decoupled, decoder_decoupled):
    embeddings = GroupOptions(lr=3e-2, weight_decay=0.3, decoupled=embeddings_decoupled, betas=(0.8, 0.99), eps=1e-7)
    decoder = GroupOptions(lr=1e-2, weight_decay=2.0, decoupled=decoder_decoupled)
    options = {"embeddings": embeddings, "decoder": decoder}
    ours, theirs = toy(), toy()
    initial = copy.deepcopy(ours.state_dict())
    train(
        ours,
        [build_optimizer({name: part.parameters() for name, part in ours.items()}, options, fused)],
    )
    train(
        theirs,
        [
            torch_optimizer(theirs["embeddings"].parameters(), embeddings, fused),
            torch_optimizer(theirs["decoder"].parameters(), decoder, fused),
        ],
    )
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name
        assert not torch.equal(initial[name], weight), name


def test_decoupled_and_not_differ():
    """What the comparison above rests on: the two kinds of weight decay lead elsewhere."""
    ends = []
    for decoupled in (True, False):
        network = toy()
        options = GroupOptions(weight_decay=1.0, decoupled=decoupled)
        train(network, [build_optimizer({"all": network.parameters()}, {"all": options})], steps=3)
        ends.append(network["decoder"][0].weight)
    assert not torch.equal(*ends)


def test_group_without_parameters_is_left_out():
    network = nn.Linear(2, 2)
    optimizer = build_optimizer(
        {"embeddings": [], "decoder": network.parameters()}, {"embeddings": GroupOptions(), "decoder": GroupOptions()}
    )
    assert [group["name"] for group in optimizer.param_groups] == ["decoder"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1e-3}, "lr is -0.001"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"weight_decay": -1.0}, "weight_decay is -1"),
        ({"eps": -1e-8}, "eps is -1e-08"),
        ({"betas": (0.9, 1.0)}, r"betas are \(0.9, 1.0\)"),
        ({"betas": (-0.1, 0.9)}, r"betas are \(-0.1, 0.9\)"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(UserError, match=message):
        GroupOptions(**options)


@pytest.mark.parametrize("decoder_layers", [1, 2, 3])
def test_groups_partition_the_parameters(decoder_layers):
    module = GrokkingModule(lambda sizes: MLP(sizes, depth=3, width=4, decoder_layers=decoder_layers))
    module.build(Sizes(inputs=5, outputs=2), torch.eye(2))
    groups = module.parameter_groups()
    layers = [layer for layer in module.network.layers if isinstance(layer, nn.Linear)]

    def of(chosen):
        return {id(parameter) for layer in chosen for parameter in layer.parameters()}

    assert {id(parameter) for parameter in groups["embeddings"]} == of(layers[: 3 - decoder_layers])
    assert {id(parameter) for parameter in groups["decoder"]} == of(layers[3 - decoder_layers :])
    assert len(groups["embeddings"]) + len(groups["decoder"]) == 6


def test_module_gives_each_group_its_options():
    module = GrokkingModule(
        lambda sizes: MLP(sizes, width=4),
        embeddings=GroupOptions(lr=0.1, weight_decay=0.2, decoupled=False),
        decoder=GroupOptions(lr=0.3, weight_decay=0.4),
    )
    module.build(Sizes(inputs=5, outputs=2), torch.eye(2))
    groups = {group["name"]: group for group in module.configure_optimizers().param_groups}
    assert {name: (g["lr"], g["weight_decay"], g["decoupled_weight_decay"]) for name, g in groups.items()} == {
        "embeddings": (0.1, 0.2, False),
        "decoder": (0.3, 0.4, True),
    }
