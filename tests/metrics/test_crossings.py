import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.callbacks import PhaseTracker
from grokking_pl.metrics.crossings import NEVER, decided, least_correct, track_crossings


@pytest.mark.parametrize("threshold", [0.9, 0.95, 1.0, 0.1, 1 / 3])
@pytest.mark.parametrize("samples", [1, 7, 10, 45, 113, 1000])
def test_least_correct_is_where_fractions_pass(threshold, samples):
    least = least_correct(threshold, samples)
    assert least / samples >= threshold
    assert least == 0 or (least - 1) / samples < threshold


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=30),
    window=st.integers(0, 3),
    budget=st.integers(1, 20),
)
def test_crossings_are_those_of_the_phase_tracker(counts, window, budget):
    tracker = PhaseTracker(every_n_steps=1, window=window, budget=budget)
    since, reached, final = (torch.full((1, 2), NEVER) for _ in range(3))
    needed = torch.tensor([[least_correct(0.9, 10)] * 2])
    for step, (train, val) in enumerate(counts[: budget + 1]):
        if not tracker.decided:
            tracker._record((step, train / 10, val / 10, 0.0, 0.0))
        track_crossings(
            torch.tensor([[train, val]]), needed, torch.tensor([step]), since, reached, final,
            torch.tensor([True]), budget, window,
        )  # fmt: skip
    expected = [NEVER if s is None else s for s in (tracker.steps_to_train, tracker.steps_to_val)]
    assert reached[0].tolist() == expected
    assert final[0].tolist() == [round(10 * a) for a in tracker.history[-1, 1:3].tolist()]
    assert bool(decided(reached, torch.tensor([min(step + 1, budget + 1)]), budget)) == tracker.decided
