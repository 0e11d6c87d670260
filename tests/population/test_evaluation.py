"""The counts of correct samples are those of each member's module, in one part or in many."""

import pytest
import torch

from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population import evaluation
from grokking_pl.population.evaluation import evaluate
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.network import MemberNetwork
from grokking_pl.population.samples import SampleStack
from grokking_pl.population.state import State
from tests.population.test_equals_fit import build_members, settings_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def builder():
    return MemberBuilder()


def counts_of_module(member):
    module, data = member.module.eval(), member.data
    correct = module.score(module(data.inputs), data.targets)[1]
    return [int(correct[: data.num_train].sum()), int(correct[data.num_train :].sum())]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", ["mnist", "equations", "regression"])
def test_counts_are_those_of_the_module(name, shared, builder, monkeypatch):
    members = build_members(builder, settings_of(name, builder))
    members = members[:2] if shared else members  # these have the same seed
    state = State(members[0], len(members), PhaseCriteria(), 10, False, CPU)
    samples = SampleStack(members[0].data, len(members), shared, CPU)
    for place, member in enumerate(members):
        state.put(place, member, None)
        samples.put(place, member.data)
    network = MemberNetwork(members[0].module, members[0].data.inputs, CPU)
    expected = [counts_of_module(member) for member in members]
    assert evaluate(network, state, samples).tolist() == expected
    monkeypatch.setattr(evaluation, "EVALUATION_ELEMENTS", 1)
    assert evaluate(network, state, samples).tolist() == expected
