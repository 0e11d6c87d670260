import re

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.callbacks import PhaseTracker
from grokking_pl.data import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.metrics.crossings import NEVER, Crossings, PhaseCriteria, decided, least_correct, track_crossings
from grokking_pl.sizes import Sizes

TRAIN, VAL = 10, 20
THRESHOLDS = (0.9, 0.85)
FURTHER = [0.8, 1.0]


@pytest.mark.parametrize("threshold", [0.9, 0.95, 1.0, 0.1, 1 / 3])
@pytest.mark.parametrize("samples", [1, 7, 10, 45, 113, 1000])
def test_least_correct_is_where_fractions_pass(threshold, samples):
    least = least_correct(threshold, samples)
    assert least / samples >= threshold
    assert least == 0 or (least - 1) / samples < threshold


def steps_by_hand(evaluations, every, window, budget, thresholds=THRESHOLDS):
    """The first step from which each accuracy stays at its threshold for the window, all within the budget."""
    passed = []
    for which, (size, threshold) in enumerate(zip((TRAIN, VAL), thresholds, strict=True)):
        above = [numbers[which] / size >= threshold for numbers in evaluations]
        steps = [every * k for k in range(len(evaluations))]
        stays = [
            steps[first]
            for first in range(len(steps))
            for last in range(first, len(steps))
            if all(above[first : last + 1]) and steps[last] - steps[first] >= window and steps[last] <= budget
        ]
        passed.append(min(stays, default=None))
    return tuple(passed)


# Accuracies far from their thresholds, just below, at and above.
NUMBERS = st.tuples(st.sampled_from([0, 8, 9, 10]), st.sampled_from([0, 16, 17, 20]))
RUN = st.lists(NUMBERS, min_size=1, max_size=25)


def tracked(runs, every, window, budget):
    """Steps and decision of each run, all tracked together."""
    places = len(runs)
    since, reached, final = (torch.full((places, 2), NEVER) for _ in range(3))
    sizes = zip(THRESHOLDS, (TRAIN, VAL), strict=True)
    needed = torch.tensor([[least_correct(threshold, size) for threshold, size in sizes]]).expand(places, 2)
    length = max(map(len, runs))
    for k in range(length):
        there = torch.tensor([k < len(run) for run in runs])
        correct = torch.tensor([run[min(k, len(run) - 1)] for run in runs])
        step = torch.full((places,), every * k)
        track_crossings(correct, needed, step, since, reached, final, there, budget, window)
    next_step = torch.tensor([every * (len(run) - 1) + 1 for run in runs])
    steps = [tuple(None if step == NEVER else step for step in row) for row in reached.tolist()]
    return steps, decided(reached, next_step, budget).tolist(), final.tolist()


@settings(max_examples=100)
@given(
    runs=st.lists(RUN, min_size=1, max_size=6), every=st.integers(1, 3), window=st.integers(0, 5),
    budget=st.integers(1, 40),
)  # fmt: skip
def test_crossings_of_many_runs_and_of_one_are_those_by_hand(runs, every, window, budget):
    expected = [steps_by_hand(run, every, window, budget) for run in runs]
    steps, ended, final = tracked(runs, every, window, budget)
    assert steps == expected
    for run, both, is_decided, last in zip(runs, expected, ended, final, strict=True):
        crossings = Crossings(PhaseCriteria(every, *THRESHOLDS, window), budget, (TRAIN, VAL))
        for k, correct in enumerate(run):
            frozen = crossings.decided
            crossings.update(every * k, correct)
            if not frozen and every * k <= budget:
                expected_last = list(correct)
        assert crossings.steps == both
        assert crossings.decided == is_decided
        assert last == expected_last


@settings(max_examples=50)
@given(run=RUN, every=st.integers(1, 3), window=st.integers(0, 5), budget=st.integers(1, 40))
def test_further_thresholds_are_those_by_hand(run, every, window, budget):
    criteria = PhaseCriteria(every, *THRESHOLDS, window, further_thresholds=FURTHER)
    crossings = Crossings(criteria, budget, (TRAIN, VAL))
    without = Crossings(PhaseCriteria(every, *THRESHOLDS, window), budget, (TRAIN, VAL))
    for k, correct in enumerate(run):
        crossings.update(every * k, correct)
        without.update(every * k, correct)
    assert crossings.steps == without.steps == steps_by_hand(run, every, window, budget)
    by_hand = [step for level in FURTHER for step in steps_by_hand(run, every, window, budget, (level, level))]
    assert crossings.further == by_hand
    spent = every * (len(run) - 1) >= budget
    assert crossings.decided == (spent or None not in (*crossings.steps, *crossings.further))


class Numbers(TensorDataModule):
    """Samples that know their number."""

    def load(self):
        self.inputs = torch.arange(float(TRAIN + VAL)).unsqueeze(1)
        self.targets = self.inputs
        self.num_train, self.class_targets, self.sizes = TRAIN, None, Sizes(1, 1)


class Scripted(pl.LightningModule):
    """Gets as many samples right as the run says, evaluation by evaluation."""

    def __init__(self, run):
        super().__init__()
        self.run = iter(run)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        return self.weight**2

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def evaluate(self, batch):
        train, val = next(self.run)
        number = batch[0].squeeze(1)
        return number, torch.where(number < TRAIN, number < train, number < TRAIN + val)


@settings(max_examples=25)
@given(run=RUN.filter(lambda run: len(run) > 1), window=st.integers(0, 3), budget=st.integers(1, 25))
def test_phase_tracker_is_the_case_of_one_run(run, window, budget):
    tracker = PhaseTracker(1, *THRESHOLDS, window=window, budget=budget, further_thresholds=FURTHER)
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=len(run) - 1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[tracker], limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(Scripted(run), Numbers())
    (steps,), _, _ = tracked([run], 1, window, budget)
    assert (tracker.steps_to_train, tracker.steps_to_val) == steps == steps_by_hand(run, 1, window, budget)
    further = [step for level in FURTHER for step in steps_by_hand(run, 1, window, budget, (level, level))]
    names = ("steps_to_train_0.8", "steps_to_val_0.8", "steps_to_train_1", "steps_to_val_1")
    assert [tracker.summary()[name] for name in names] == further
    assert tracker.decided == (len(run) - 1 >= budget or None not in (*steps, *further))
    again = PhaseTracker(1, *THRESHOLDS, window=window, budget=budget, further_thresholds=FURTHER)
    again.load_state_dict(tracker.state_dict())
    assert again.summary() == tracker.summary()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_n_steps": 0}, "every_n_steps is 0; it must be at least 1"),
        ({"window": -1}, "window is -1; it must be at least 0"),
        ({"delay": -1}, "delay is -1; it must be at least 0"),
        ({"train_threshold": 0.0}, "train_threshold is 0.0; it must be above 0 and at most 1"),
        ({"val_threshold": 1.01}, "val_threshold is 1.01; it must be above 0 and at most 1"),
        *(
            ({"further_thresholds": given}, rf"further_thresholds is {re.escape(str(given))}; give accuracies .*")
            for given in ([], [0.9, 0.6], [0.9, 0.9], [0, 0.5], [0.5, 1.1])
        ),
    ],
)
def test_criteria_out_of_range(options, message):
    for kind, prefix in ((PhaseCriteria, r"phase\."), (PhaseTracker, "PhaseTracker: ")):
        with pytest.raises(UserError, match=f"^{prefix}{message}$"):
            kind(**options)
