"""The curves that a population keeps are those of `grok fit`, whatever happens on the way."""

import pandas as pd
import pytest

from grokking_pl.callbacks import EffectiveDimension, PhaseTracker, RepresentationQuality
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.curves import POINTS
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.observation import ObservationOptions
from grokking_pl.spacing import log_spaced_steps
from tests.conftest import ROOT
from tests.population.test_equals_fit import build_members, fit, settings_of

BUDGET = 40


@pytest.fixture(scope="module")
def builder():
    return MemberBuilder()


def batch_of(template, every=1, keep_curves=True, places=3):
    criteria = PhaseCriteria(every, 0.9, 0.9)
    observe = ObservationOptions(every_n_steps=10)
    return Batch(template, places, criteria, BUDGET, compiled=False, observe=observe, keep_curves=keep_curves)


def outcomes_of(batch):
    return {outcome.index: outcome for outcome in batch.take_decided()}


@pytest.mark.parametrize(("name", "every"), [("regression", 1), ("batches", 7)])
def test_curves_are_those_of_grok_fit(name, every, builder, tmp_path):
    settings = settings_of(name, builder)
    members = build_members(builder, settings)
    batch = batch_of(members[0], every)
    for member in members:
        batch.put(member)
    batch.advance(2 * BUDGET)
    outcomes = outcomes_of(batch)
    for index, (member_settings, seed) in enumerate(settings):
        tracker, quality = PhaseTracker(every, budget=BUDGET), RepresentationQuality(1)
        fit(member_settings, seed, BUDGET + 20, [tracker, quality], tmp_path)
        expected = {int(step): accuracies for step, *accuracies, _, _ in tracker.history.tolist()}
        curve = outcomes[index].curve
        assert [step for step, *_ in curve] == sorted({*log_spaced_steps(BUDGET, POINTS, every), BUDGET})
        for step, *accuracies in curve:
            # A population evaluates at its budget too, where it is no multiple of the interval.
            assert accuracies == pytest.approx(expected.get(step, accuracies))
        looks = outcomes[index].observed.looks
        qualities = {int(row[0]): row[1] for row in quality.history.tolist()}
        interval = -(-10 // every) * every
        assert [step for step, *_ in looks][:3] == [0, interval, 2 * interval]
        for step, rqi, *_ in looks:
            assert rqi == pytest.approx(qualities[step])


@pytest.mark.parametrize(("name", "every"), [("regression", 1), ("batches", 7)])
def test_a_run_that_is_not_stopped_is_followed_to_the_end_of_the_budget(name, every, builder, tmp_path):
    settings = settings_of(name, builder)
    members = build_members(builder, settings)
    # So low that every member has a phase from the first evaluations on.
    criteria, observe = PhaseCriteria(every, 0.01, 0.01), ObservationOptions(every_n_steps=10)
    batch = Batch(
        members[0], 3, criteria, BUDGET, compiled=False, observe=observe, keep_curves=True, stop_when_decided=False
    )
    for member in members:
        batch.put(member)
    batch.advance(BUDGET // 2)
    assert outcomes_of(batch) == {}
    batch.advance(BUDGET)
    outcomes = outcomes_of(batch)
    for index, (member_settings, seed) in enumerate(settings):
        tracker = PhaseTracker(every, 0.01, 0.01, budget=BUDGET)
        dimension = EffectiveDimension(10)
        fit(member_settings, seed, BUDGET, [tracker, dimension], tmp_path)
        outcome = outcomes[index]
        assert (outcome.steps_to_train, outcome.steps_to_val) == (tracker.steps_to_train, tracker.steps_to_val)
        assert outcome.steps == BUDGET
        assert (outcome.train_accuracy, outcome.val_accuracy) == pytest.approx(tracker.history[-1, 1:3].tolist())
        assert [step for step, *_ in outcome.curve] == sorted({*log_spaced_steps(BUDGET, POINTS, every), BUDGET})
        assert outcome.observed.looks[-1][0] > BUDGET - batch.interval
        if every == 1:
            assert outcome.observed.effective_dimension == pytest.approx(dimension.values["effective_dimension"])


def test_keeping_curves_changes_no_outcome(builder):
    settings = settings_of("regression", builder)
    members = build_members(builder, settings)
    outcomes = []
    for keep in (False, True):
        batch = batch_of(members[0], keep_curves=keep)
        for member in members:
            batch.put(member)
        batch.advance(BUDGET + 1)
        outcomes.append(outcomes_of(batch))
    for index, without in outcomes[0].items():
        kept = outcomes[1][index]
        assert (without.steps_to_train, without.train_accuracy, without.observed.rqi) == (
            kept.steps_to_train, kept.train_accuracy, kept.observed.rqi,
        )  # fmt: skip
        assert (len(without.curve), without.observed.looks) == (0, [])


def test_a_curve_goes_on_from_its_state_and_leaves_nothing_to_the_next_member(builder):
    settings = settings_of("regression", builder)
    members = build_members(builder, settings)
    whole = batch_of(members[0])
    for member in members:
        whole.put(member)
    whole.advance(BUDGET + 1)
    expected = outcomes_of(whole)
    first = batch_of(members[0])
    first.put(members[0])
    first.advance(30)
    state = first.state_of(0)
    again = batch_of(members[0], places=1)
    for member, given in ((members[1], None), (members[0], state)):  # one place, one after the other
        again.put(member, given)
        again.advance(BUDGET + 1)
        (outcome,) = again.take_decided()
        assert outcome.curve == expected[outcome.index].curve


def test_the_table_of_a_diagram(grok, tmp_path):
    command = (
        "diagram", "--config", ROOT / "configs/figures/figure6b_small.yaml", "--steps=60", "--compile=false",
        "--set={model.architecture.width: 8}", "--device=cpu", "--folder", tmp_path, "--places=3",
        "--axes={model.decoder.lr: [0.001, 0.0001, 0.01], model.decoder.weight_decay: [0, 1]}", "--workers=1",
    )  # fmt: skip
    status, _, err = grok(*command)
    assert status == 0, err
    runs, curves = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("runs", "curves"))
    keys = ["model.decoder.lr", "model.decoder.weight_decay", "seed"]
    last = curves.dropna(subset="train_accuracy").groupby(keys, sort=False).last().reset_index()
    merged = runs.merge(last, on=keys, suffixes=("", "_last"))
    assert len(merged) == len(runs) == 6
    assert (merged["train_accuracy"] == merged["train_accuracy_last"]).all()
    assert (merged["step"] == 60).all()

    # What a killed process has half written, or written of a run that is trained again, is there once in the end.
    whole = (tmp_path / "curves.csv").read_text()
    lines = (tmp_path / "runs.csv").read_text().splitlines(keepends=True)
    (tmp_path / "runs.csv").write_text("".join(lines[:-2]))
    (tmp_path / "curves.csv").write_text(whole[:-30])
    assert grok(*command)[0] == 0
    assert (tmp_path / "curves.csv").read_text() == whole
