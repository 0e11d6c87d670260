"""Runs of different kinds, which cannot share a batch, and which of them are worth compiling."""

import pandas as pd
import pytest

import grokking_pl as gp
from grokking_pl.commands.base_callbacks import interventions_among
from grokking_pl.experiments import read_grid
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population import training
from grokking_pl.population.batch import Batch
from grokking_pl.population.diagram import compiling_pays, read_base, settings_of
from grokking_pl.population.observation import ObservationOptions
from grokking_pl.population.training import Plan
from tests.conftest import ROOT

AXIS = {"model.architecture.activation": ["tanh", "relu", "selu"]}


@pytest.fixture
def places(monkeypatch):
    """The numbers of places of the batches that are made."""
    made = []

    class Noted(Batch):
        def __init__(self, template, places, *rest):
            made.append(places)
            super().__init__(template, places, *rest)

    monkeypatch.setattr(training, "Batch", Noted)
    return made


def table(folder, **changes):
    description = {
        "base": "toy_addition",
        "set": {"model.architecture.width": 16},
        "axes": AXIS,
        "steps": 60,
        "workers": 1,
        "compile": False,
        "device": "cpu",
        "stop_when_decided": False,
    }
    return gp.diagram(description | changes, folder=folder).runs


def test_a_run_that_is_alone_in_its_kind_takes_one_place(places, tmp_path):
    alone = table(tmp_path / "alone", seeds=[58])
    assert places == [1, 1, 1]
    places.clear()
    together = table(tmp_path / "together", seeds=[58, 59])
    assert places == [2, 2, 2]
    same = together[together.seed == 58].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, same, rtol=1e-4)
    assert not same.drop(columns="seed").equals(together[together.seed == 59].drop(columns="seed"))


@pytest.mark.parametrize(
    ("config", "steps", "pays"),
    [
        ("toy_addition", 40_000, False),
        ("toy_addition", 60_000, True),
        ("mnist_grok", 2500, False),
        ("figures/figure7_left", 100, False),
        ("figures/figure7_left", 5000, True),
    ],
)
def test_compiling_pays_for_many_steps_or_large_networks(config, steps, pays):
    base, seed = settings_of(read_base(ROOT / f"configs/{config}.yaml"), {}, interventions_among)
    grid = read_grid({"model.decoder.lr": [1e-4, 1e-3]}, [seed])
    plan = Plan(grid, base, PhaseCriteria(), ObservationOptions(), 10**5, "cpu")
    assert compiling_pays(plan, steps) is pays
