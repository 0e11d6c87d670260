"""The update of every rule for many members at once, against PyTorch's optimizer for each, step by step."""

import copy

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.experiments import set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.rules import updates_of
from grokking_pl.training import GroupOptions, Lion, Schedule, build_optimizer
from tests.conftest import ROOT
from tests.population.test_equals_fit import fit

RATES = st.floats(1e-4, 0.3)
DECAYS = st.one_of(st.just(0.0), st.floats(0, 3))
BETAS = st.tuples(st.floats(0, 0.99), st.floats(0, 0.999))


def made(kind, **options):
    """A strategy of factories of a class of optimizers, as a configuration gives them."""
    return st.fixed_dictionaries(options).map(lambda chosen: lambda parameters: kind(parameters, **chosen))


PLAIN_SGD = made(
    torch.optim.SGD, lr=RATES, weight_decay=DECAYS, momentum=st.one_of(st.just(0.0), st.floats(0, 0.99)),
    dampening=st.floats(0, 1), maximize=st.booleans(),
)  # fmt: skip
NESTEROV = made(torch.optim.SGD, lr=RATES, weight_decay=DECAYS, momentum=st.floats(0.01, 0.99), nesterov=st.just(True))
OF_A_KIND = {
    "adam": st.one_of(
        st.builds(GroupOptions, RATES, DECAYS, st.booleans(), BETAS, st.floats(1e-8, 1e-3)),
        made(torch.optim.Adam, lr=RATES, weight_decay=DECAYS, betas=BETAS),
        made(torch.optim.AdamW, lr=RATES, weight_decay=DECAYS, betas=BETAS),
    ),
    "sgd": st.one_of(PLAIN_SGD, NESTEROV),
    "lion": made(Lion, lr=RATES, weight_decay=DECAYS, betas=BETAS),
    "muon": made(torch.optim.Muon, lr=RATES, weight_decay=DECAYS, momentum=st.floats(0, 0.99)),
    "muon of another kind": made(
        torch.optim.Muon, lr=RATES, weight_decay=DECAYS, momentum=st.floats(0, 0.99), nesterov=st.just(False),
        adjust_lr_fn=st.just("match_rms_adamw"), ns_steps=st.just(3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OF_A_KIND)
@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
@given(data=st.data(), seed=st.integers(0, 2**31))
@settings(max_examples=8)
def test_each_member_is_updated_as_by_torch(kind, shape, data, seed):
    factories = data.draw(st.lists(OF_A_KIND[kind], min_size=2, max_size=4))
    draws = torch.Generator().manual_seed(seed)
    weights = torch.randn(len(factories), *shape, generator=draws, dtype=torch.float64)
    singles = [torch.nn.Parameter(weight.clone()) for weight in weights]
    optimizers = [
        build_optimizer({"decoder": [single]}, {"decoder": factory}, fused=False)
        for single, factory in zip(singles, factories, strict=True)
    ]
    updates = [updates_of("decoder", factory)["decoder"] for factory in factories]
    rule = updates[0].rule
    assert all(update.rule == rule for update in updates)
    options = torch.tensor([update.options for update in updates], dtype=torch.float64)
    first, second = torch.zeros_like(weights), torch.zeros_like(weights) if rule.moments == 2 else None
    for step in range(1, 9):
        # Sums of these are exact, and none is 0: signs and quotients that rounding decides would differ.
        gradients = (2 * torch.randint(-32, 32, weights.shape, generator=draws) + 1).double() / 64
        for single, optimizer, gradient in zip(singles, optimizers, gradients, strict=True):
            single.grad = gradient.clone()
            optimizer.step()
        numbers = torch.full((len(factories),), step, dtype=torch.float64)
        rule.step(weights, gradients, first, second, rule.coefficients(options, numbers))
    # Muon's iteration has 8 bits, and what is an eighth of a bit too much can be a bit in another order of summing.
    close = {"rtol": 2e-2, "atol": 3e-2} if kind.startswith("muon") else {"rtol": 1e-7, "atol": 1e-9}
    for member, single in zip(weights, singles, strict=True):
        torch.testing.assert_close(member, single.detach(), **close)


@pytest.fixture(scope="module")
def builder():
    return MemberBuilder()


def toy(builder, changes, rate):
    settings = builder.complete(yaml.safe_load((ROOT / "configs/toy_addition.yaml").read_text()))
    for path, value in {"model.architecture.width": 24, "model.decoder.lr": rate, **changes}.items():
        set_value(settings, path, copy.deepcopy(value))
    return settings


SGD = {"class_path": "SGD", "init_args": {"lr": 0.02, "momentum": 0.9}}
CASES = {
    "sgd": ({"model.decoder": SGD}, 1e-3),
    "sgd and lion": ({"model.decoder": SGD, "model.embeddings": "Lion"}, 1e-3),
    "by its name": ({"model.decoder": "AdamW", "model.decoder.lr": 1e-3}, 1e-3),
    "muon": ({"model.decoder": "Muon", "model.decoder.lr": 1e-3}, 3e-2),
    "a schedule": ({"model.schedule": {"warmup_steps": 5, "decay": "cosine"}}, 1e-3),
    "a schedule of torch's": (
        {
            "model.schedule": {"class_path": "LinearLR", "init_args": {"total_iters": 9}},
            "model.decoder_schedule": {
                "class_path": "OneCycleLR",
                "init_args": {"max_lr": 0.01, "total_steps": 20, "cycle_momentum": False},
            },
        },
        1e-3,
    ),
    "muon with a schedule": (
        {"model.decoder": "Muon", "model.decoder_schedule": {"decay": "linear", "decay_steps": 20}},
        3e-2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_weights_are_those_of_grok_fit(name, builder, tmp_path):
    changes, close = CASES[name]
    steps = 30
    settings = [toy(builder, {**changes, "model.embeddings.lr": rate}, 1e-4) for rate in (1e-3, 3e-3)]
    members = [builder.build(index, own, 58) for index, own in enumerate(settings)]
    assert len({member.kind for member in members}) == 1
    batch = Batch(members[0], 2, PhaseCriteria(), steps, compiled=False)
    for member in members:
        batch.put(member)
    batch.advance(steps // 2)
    halves = [batch.state_of(place) for place in range(2)]
    batch = Batch(members[0], 2, PhaseCriteria(), steps, compiled=False)
    for place in (1, 0):
        batch.put(members[place], halves[place])
    batch.advance(steps - steps // 2)
    for place, own in zip((1, 0), settings, strict=True):
        module = fit(own, 58, steps, [], tmp_path).lightning_module
        for key, value in module.named_parameters():
            torch.testing.assert_close(batch.state.parameters[key][place], value.detach(), rtol=1e-3, atol=close / 10)


def test_schedules_of_members_differ_within_a_batch(builder):
    settings = [toy(builder, {"model.schedule": schedule}, 1e-3) for schedule in (None, {"warmup_steps": 100})]
    members = [builder.build(index, own, 58) for index, own in enumerate(settings)]
    assert members[0].kind == members[1].kind
    assert list(members[1].schedules.values()) == [Schedule(100)] * 2
    batch = Batch(members[0], 2, PhaseCriteria(), 100, compiled=False)
    before = members[0].module.network.embeddings.detach()
    for member in members:
        batch.put(member)
    batch.advance(1)
    moved = batch.state.parameters["network.embeddings"] - before
    assert moved[0].abs().max() > 0
    assert moved[1].abs().max() == 0  # the first update of a warm-up has rate 0


def test_another_rule_is_another_kind(builder):
    kinds = {
        builder.build(0, toy(builder, {"model.decoder": group}, 1e-3), 58).kind
        for group in ("SGD", "Lion", "Muon", {"class_path": "Muon", "init_args": {"ns_steps": 3}})
    }
    assert len(kinds) == 4


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"model.decoder": "RMSprop"}, "cannot train with RMSprop: choose Adam, AdamW, SGD, Lion, Muon"),
        ({"model.decoder": {"class_path": "AdamW", "init_args": {"amsgrad": True}}}, "AdamW's amsgrad"),
        (
            {"model.schedule": {"class_path": "OneCycleLR", "init_args": {"max_lr": 0.1, "total_steps": 9}}},
            "changes betas: set cycle_momentum to false",
        ),
        ({"model.decoder": {"class_path": "SGD", "init_args": {"momentun": 1}}}, "did you mean momentum?"),
        ({"model.decoder": "SDG"}, "there is no class SDG"),
    ],
)
def test_what_cannot_be_batched_is_refused(builder, changes, wanted):
    with pytest.raises(UserError, match=wanted):
        builder.build(0, toy(builder, changes, 1e-3), 58)
