"""The mini-batches of a batch are those that each member would take alone."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.data.batches import shuffled
from grokking_pl.population import minibatches
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.minibatches import MiniBatches
from tests.population.test_equals_fit import settings_of


@pytest.fixture(scope="module")
def member():
    builder = MemberBuilder()
    return builder.build(0, *settings_of("batches", builder)[0])


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=3),
    st.integers(1, 6),
    st.lists(st.integers(1, 7), min_size=1, max_size=3),
    st.integers(1, 200),
)
def test_draws_are_those_of_each_member(member, members, size, parts, ahead):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "DRAWN_AHEAD", ahead)
        streams = [shuffled(samples, min(size, samples), seed) for samples, seed, _ in members]
        largest = max(samples for samples, *_ in members)
        drawing = MiniBatches(len(members) + 1, largest, torch.device("cpu"))
        for place, (stream, (_, _, step)) in enumerate(zip(streams, members, strict=True)):
            drawing.put(place, replace(member, indices=stream), step)
        drawn = [batch for steps in parts for batch in drawing.draw(steps)]
    assert len(drawn) == sum(parts)
    for place, (stream, (samples, _, step)) in enumerate(zip(streams, members, strict=True)):
        for batch, expected in zip(drawn, islice(stream(step), len(drawn)), strict=True):
            wanted = torch.arange(samples)[expected]
            assert batch.chosen[place, : len(wanted)].tolist() == wanted.tolist()
            assert batch.weights[place].tolist() == pytest.approx(
                [1 / len(wanted)] * len(wanted) + [0] * (largest - len(wanted))
            )
    assert all(not batch.weights[-1].any() for batch in drawn)  # nobody is there


def test_a_vacated_place_draws_nothing(member):
    drawing = MiniBatches(1, 4, torch.device("cpu"))
    drawing.put(0, replace(member, indices=shuffled(4, 2, 0)), 0)
    assert next(drawing.draw(1)).weights.any()
    drawing.vacate(0)
    assert not next(drawing.draw(1)).weights.any()
