"""Interventions in a population: every member's weights are those of `grok fit` with the same ones."""

import copy

import pytest
import torch
import yaml

from grokking_pl.callbacks import (
    DecayToInitial,
    FrozenGroup,
    GradientFilter,
    GradientNoise,
    GradientWindow,
    HeldNorm,
    Intervention,
    OrthogonalGradient,
)
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import MemberBuilder
from tests.conftest import ROOT
from tests.population.test_equals_fit import fit
from tests.training.test_interventions import SETTINGS

STEPS = 40


class Shrinking(Intervention):
    """A user's own: weights shrink, by what the gradients were on average."""

    def __init__(self, strength: float = 0.1, group: str = "all") -> None:
        super().__init__(group)
        self.strength = strength

    def initial_state(self, weights, seed):
        return {"sum": {name: weight * 0 for name, weight in weights.items()}}

    def change_gradients(self, gradients, weights, state, step):
        for name, gradient in gradients.items():
            state["sum"][name].add_(gradient)
        return gradients

    def change_weights(self, weights, state, step):
        return {name: weight - self.strength * state["sum"][name] / step for name, weight in weights.items()}


# Each member has settings of its own.
EACH = {
    "GradientFilter": (GradientFilter, [{"lamb": 0.0}, {"lamb": 2.0, "alpha": 0.9}, {"lamb": 5.0}]),
    "GradientWindow": (GradientWindow, [{"window": 7, "lamb": lamb} for lamb in (0.0, 1.0, 5.0)]),
    "OrthogonalGradient": (OrthogonalGradient, [{}, {}, {}]),
    "GradientNoise": (GradientNoise, [{"strength": strength} for strength in (0.0, 0.1, 1.0)]),
    "HeldNorm": (HeldNorm, [{"factor": factor, "group": "decoder"} for factor in (0.5, 1.0, 2.0)]),
    "DecayToInitial": (DecayToInitial, [{"rate": rate} for rate in (0.0, 1e-3, 0.1)]),
    "FrozenGroup": (FrozenGroup, [{"until_step": 20, "group": "embeddings"}] * 3),
    "a user's own": (Shrinking, [{"strength": strength} for strength in (0.0, 1e-3, 1e-2)]),
}


def settings_of(cls, options):
    settings = copy.deepcopy(SETTINGS)
    settings["callbacks"] = {cls.__name__: {"class_path": f"{cls.__module__}.{cls.__qualname__}", "init_args": options}}
    return settings


def batch_of(name, places=3, compiled=False):
    cls, options = EACH[name]
    builder = MemberBuilder()
    members = [
        builder.build(number, builder.complete(settings_of(cls, own)), 58 + number)
        for number, own in enumerate(options)
    ]
    assert len({member.kind for member in members}) == 1
    batch = Batch(members[0], places, PhaseCriteria(1), budget=1000, compiled=compiled)
    return batch, members


@pytest.mark.parametrize("name", EACH)
def test_weights_are_those_of_grok_fit(name, tmp_path):
    batch, members = batch_of(name)
    for member in members:
        batch.put(member)
    batch.advance(STEPS)
    check(batch, name, tmp_path)


def check(batch, name, tmp_path):
    cls, options = EACH[name]
    for place, own in enumerate(options):
        module = fit(SETTINGS, 58 + place, STEPS, [cls(**own)], tmp_path).lightning_module
        for key, value in module.named_parameters():
            ours = batch.state.parameters[key][place]
            torch.testing.assert_close(ours, value.detach(), rtol=1e-3, atol=2e-4, msg=lambda text: f"{key}: {text}")  # noqa: B023


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_compiled(name, tmp_path):
    batch, members = batch_of(name, compiled=True)
    for member in members:
        batch.put(member)
    batch.advance(STEPS)
    assert batch.compile_seconds > 0
    check(batch, name, tmp_path)


@pytest.mark.parametrize("name", ["GradientFilter", "GradientWindow", "HeldNorm", "GradientNoise"])
def test_a_state_that_was_saved_goes_on(name):
    whole, members = batch_of(name)
    for member in members:
        whole.put(member)
    whole.advance(10)
    saved = [whole.state_of(place) for place in range(3)]
    whole.advance(10)
    resumed, _ = batch_of(name)
    for member, state in zip(members, saved, strict=True):
        resumed.put(member, state)
    resumed.advance(10)
    for key, stack in whole.state.parameters.items():
        assert torch.equal(stack, resumed.state.parameters[key])


# Through the command.


BASE = yaml.safe_load((ROOT / "configs/toy_addition.yaml").read_text())


@pytest.fixture
def diagram(grok, tmp_path):
    def run(callbacks, axes, *options):
        base = copy.deepcopy(BASE)
        base["model"]["init_args"]["architecture"]["init_args"]["width"] = 8
        base["model"]["init_args"]["decoder"]["lr"] = 0.03
        base["trainer"]["callbacks"] = callbacks
        (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
        (tmp_path / "d.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "steps": 100, "axes": axes}))
        return grok(
            "diagram", "--config", tmp_path / "d.yaml", "--workers=1", "--compile=false", "--folder", tmp_path / "d",
            *options,
        )  # fmt: skip

    return run


FILTER = {"class_path": "GradientFilter", "init_args": {"alpha": 0.9, "lamb": 2.0}}


def test_settings_of_interventions_are_axes(diagram, tmp_path):
    status, _, err = diagram(
        [FILTER, "HeldNorm"], {"callbacks.GradientFilter.lamb": [0, 50], "callbacks.HeldNorm.group": ["all", "decoder"]}
    )
    assert status == 0, err
    rows = (tmp_path / "d/curves.csv").read_text().splitlines()
    assert rows[0].startswith("callbacks.GradientFilter.lamb,callbacks.HeldNorm.group,seed,step,")
    last = {tuple(row.split(",")[:2]): row for row in rows[1:]}
    assert len({row.split(",", 4)[4] for row in last.values()}) > 1


@pytest.mark.parametrize(
    ("callbacks", "axes", "wanted"),
    [
        ([FILTER], {"callbacks.GradientFilter.lamb": [-1]}, "GradientFilter: lamb is -1"),
        ([FILTER], {"callbacks.GradientFilter.lambda": [1]}, "did you mean callbacks.GradientFilter.lamb?"),
        ([FILTER, FILTER], {"callbacks.GradientFilter.lamb": [1]}, "has GradientFilter more than once"),
        ([{"class_path": "GradientFilter", "init_args": {"lam": 1}}], {"model.decoder.lr": [0.1]}, "lam"),
        (["StochasticWeightAveraging"], {"model.decoder.lr": [0.1]}, "does not support the callback Stochastic"),
    ],
)
def test_wrong_interventions_are_refused(diagram, tmp_path, callbacks, axes, wanted):
    status, _, err = diagram(callbacks, axes)
    assert status == 2
    assert wanted in err
    assert len(err.splitlines()) == 1, err
    assert not (tmp_path / "d/runs.csv").exists()
