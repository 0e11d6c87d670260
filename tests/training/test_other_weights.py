"""What networks answer with other weights, and over a plane, against loops over state dicts, samples and points."""

import copy

import pytest
import torch
import yaml

from grokking_pl.errors import UserError
from grokking_pl.experiments import ExperimentBuilder
from grokking_pl.metrics import truncated_embeddings
from grokking_pl.training import decision_map, stitched_accuracy, truncated_accuracy
from tests.conftest import ROOT

KINDS = {
    "sum of embeddings": ("toy_2d_modular", {"embedding_dim": 4, "width": 16}),
    "vectors as targets": ("toy_addition", {"embedding_dim": 3, "width": 16}),
    "matrices": ("permutation_s3", {"width": 16}),
    "slice of the tokens": ("papers/power_addition", {"width": 16, "layers": 1, "dropout": 0.5}),
    "dropout": ("transformer_dropout", {"width": 16, "dropout": 0.5}),
}


def built(config, changes=(), seed=0):
    settings = yaml.safe_load((ROOT / f"configs/{config}.yaml").read_text())
    builder = ExperimentBuilder()
    settings["model"]["init_args"]["architecture"]["init_args"] |= dict(changes)
    if config == "papers/power_addition":
        settings["data"]["init_args"]["modulus"] = 7
    if config == "transformer_dropout":
        settings["data"]["init_args"]["task"]["init_args"]["p"] = 7
    experiment = builder.instantiate(builder.complete({k: settings[k] for k in ("model", "data")}), seed)
    experiment.build()
    data = experiment.data
    return experiment.module, (data.inputs, data.targets)


def accuracy_of(module, network, batch):
    """By the network itself, one sample at a time."""
    network = network.eval()
    with torch.no_grad():
        right = [bool(module.score(network(x[None]), y[None])[1]) for x, y in zip(*batch, strict=True)]
    return sum(right) / len(right)


def weights_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_accuracy_is_that_of_a_network_with_these_embeddings(kind):
    module, batch = built(*KINDS[kind])
    before = weights_of(module)
    module.train()
    dimension = module.representation.embeddings.shape[1]
    numbers = range(1, dimension + 1) if dimension <= 9 else [1, 2, 5, dimension]
    accuracies = truncated_accuracy(module, batch, None if dimension <= 9 else numbers)
    truncated = truncated_embeddings(module.representation.embeddings, numbers)
    for accuracy, embeddings in zip(accuracies.tolist(), truncated, strict=True):
        other = copy.deepcopy(module.network)
        with torch.no_grad():
            other.embeddings.copy_(embeddings)
        assert accuracy == pytest.approx(accuracy_of(module, other, batch))
    assert accuracies[-1] == pytest.approx(accuracy_of(module, copy.deepcopy(module.network), batch))
    assert module.training
    assert module.network.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_stitched_accuracy_is_that_of_networks_put_together(kind):
    networks = [built(*KINDS[kind], seed=seed) for seed in range(3)]
    module, batch = networks[0]
    before = weights_of(module)
    accuracies = stitched_accuracy(module, [other.network.state_dict() for other, _ in networks], batch)
    for row, (decoder, _) in enumerate(networks):
        for column, (embeddings, _) in enumerate(networks):
            other = copy.deepcopy(decoder.network)
            with torch.no_grad():
                for to, source in zip(
                    other.embedding_parameters(), embeddings.network.embedding_parameters(), strict=True
                ):
                    to.copy_(source)
            assert accuracies[row, column] == pytest.approx(accuracy_of(module, other, batch))
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_embeddings_that_are_computed_cannot_be_replaced():
    module, batch = built("toy_2d_modular")
    network = module.network

    class Doubled(type(network)):
        embeddings = property(lambda self: 2 * self._parameters["embeddings"])

    network.__class__ = Doubled
    with pytest.raises(UserError, match="Doubled are not part of one of its weights"):
        truncated_accuracy(module, batch)


@pytest.mark.parametrize("combine", ["sum", "mean"])
def test_decision_map_is_what_the_network_answers_to_pairs(combine):
    module, _ = built("toy_2d_modular", {"combine": combine, "width": 16, "embedding_scale": 1.0})
    decisions = decision_map(module, points=9)
    embeddings = module.network.embeddings.detach().double().numpy()
    assert decisions.symbols == pytest.approx(embeddings * (2 if combine == "sum" else 1), rel=1e-6)
    assert decisions.x[0] < decisions.symbols[:, 0].min() < decisions.symbols[:, 0].max() < decisions.x[-1]
    assert decisions.y[0] < decisions.symbols[:, 1].min() < decisions.symbols[:, 1].max() < decisions.y[-1]
    # A network of two symbols, one at the point halved and one at the origin, answers to their sum.
    for row, y in enumerate(decisions.y):
        for column, x in enumerate(decisions.x):
            other = copy.deepcopy(module.network)
            with torch.no_grad():
                other.embeddings[0] = torch.tensor([x, y]) * (1 if combine == "sum" else 2)
                other.embeddings[1] = 0
                outputs = other(torch.tensor([[0, 1]]))
            assert decisions.classes[row, column] == int(module.predict_class(outputs))


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        ("toy_2d_modular", {"embedding_dim": 3}, "dimension 3"),
        ("transformer_modular_addition_small", {"width": 2, "heads": 1}, "no decoder of the sum"),
    ],
)
def test_no_plane_to_draw(config, changes, message):
    module, _ = built(config, changes)
    with pytest.raises(UserError, match=message):
        decision_map(module)
