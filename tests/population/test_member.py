"""What a member is, and which members can be trained as one batch."""

import pytest
import torch
import yaml

from grokking_pl.errors import UserError
from grokking_pl.experiments import ExperimentBuilder, set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import MemberBuilder
from tests.conftest import ROOT
from tests.population.test_equals_fit import build_members, fit, settings_of

FIXED = "tests.population.architectures.WithFixedFeatures"


@pytest.fixture(scope="module")
def builder():
    return MemberBuilder()


def test_tensors_that_are_not_trained_make_a_kind(builder, tmp_path):
    settings = settings_of("regression", builder)
    for member_settings, _ in settings:
        set_value(member_settings, "model.architecture", FIXED)
    members = build_members(builder, settings)
    assert members[0].kind == members[1].kind  # the same seed
    assert members[0].kind != members[2].kind
    batch = Batch(members[0], 2, PhaseCriteria(), 1000, compiled=False)
    for member in members[:2]:
        batch.put(member)
    batch.advance(60)
    for place, (member_settings, seed) in enumerate(settings[:2]):
        module = fit(member_settings, seed, 60, [], tmp_path).lightning_module
        for name, value in module.named_parameters():
            if value.requires_grad:
                ours = batch.state.parameters[name][place]
                torch.testing.assert_close(ours, value.detach(), rtol=1e-3, atol=2e-4)
    assert "network.scale" not in batch.state.parameters


def test_a_compiled_module_is_a_member_like_others(builder):
    (settings, seed), *_ = settings_of("regression", builder)
    plain = builder.build(0, settings, seed)
    set_value(settings, "model.compile", True)
    assert builder.build(1, settings, seed).kind == plain.kind


def test_a_module_that_trains_in_a_way_of_its_own_is_refused(builder):
    given = yaml.safe_load((ROOT / "configs/papers/power_addition.yaml").read_text())
    settings = ExperimentBuilder().complete(given)
    with pytest.raises(UserError, match="PowerModule overrides configure_optimizers, which only grok fit"):
        builder.build(0, settings, 0)
