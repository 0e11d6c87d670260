"""The remaining time of diagrams whose runs are as long as given: known from the first report on, falling, and true."""

import numpy as np
import pytest

from grokking_pl.population.observation import Observed
from grokking_pl.population.outcome import Outcome, Report
from grokking_pl.population.time_left import TimeLeft

BUDGET = 10_000
STEPS_PER_SECOND = 300
BETWEEN_REPORTS = 0.5
RANDOM = np.random.default_rng(0)
EARLY = RANDOM.integers(100, 2000, 1000)
LENGTHS = {
    "all end early": EARLY,
    "some end early": np.where(RANDOM.random(1000) < 0.6, EARLY, BUDGET),
    "none ends early": np.full(1000, BUDGET),
}


def reports(lengths, places):
    """What a worker reports that keeps its places filled."""
    waiting, running = list(lengths), []
    steps = round(STEPS_PER_SECOND * BETWEEN_REPORTS)
    while waiting or running:
        while waiting and len(running) < places:
            running.append((waiting.pop(0), 0))
        after = [(length, min(length, made + steps)) for length, made in running]
        total = sum(made for _, made in after) - sum(made for _, made in running)
        outcomes = [Outcome(0, None, None, 0.0, 0.0, int(made), Observed()) for length, made in after if made == length]
        running = [(length, made) for length, made in after if made < length]
        yield Report("worker", int(total), BETWEEN_REPORTS, outcomes, [int(made) for _, made in running])


def course(lengths, places, compiling=0.0):
    """Elapsed and remaining time at each report."""
    now = compiling
    time_left = TimeLeft(len(lengths), BUDGET, 0.0)
    assert time_left.seconds(now) is None
    times = []
    for report in reports(lengths, places):
        now += BETWEEN_REPORTS
        time_left.take(report, now)
        times.append((now, time_left.seconds(now)))
    return np.array(times).T


@pytest.mark.parametrize("places", [25, 50])
@pytest.mark.parametrize("kind", LENGTHS)
def test_falls_and_is_true(kind, places):
    elapsed, left = course(LENGTHS[kind], places)
    most = len(LENGTHS[kind]) * BUDGET / places / STEPS_PER_SECOND
    assert left[0] == pytest.approx(most, rel=0.1)  # all that is known is that no run is longer
    assert left[-1] == 0
    tenths = left[np.linspace(0, len(left) - 1, 11).round().astype(int)]
    assert (np.diff(tenths) < 0).all()
    assert np.maximum(np.diff(left), 0).max() < 0.02 * left[0]  # no leaps
    half = len(left) // 2
    assert left[half] == pytest.approx(elapsed[-1] - elapsed[half], rel=0.2)


def test_compiling_takes_no_part_in_the_speed():
    _, left = course(LENGTHS["some end early"], 50)
    _, after_compiling = course(LENGTHS["some end early"], 50, compiling=60)
    assert after_compiling[0] == left[0]


def test_workers_share_what_is_left():
    one, two = (TimeLeft(1000, BUDGET, 0.0) for _ in range(2))
    for number, report in enumerate(reports(LENGTHS["some end early"], 50)):
        if number == 10:
            break
        now = BETWEEN_REPORTS * (number + 1)
        one.take(report, now)
        two.take(report, now)
        two.take(Report("another", report.steps, report.seconds, report.outcomes, report.running), now)
    assert two.seconds(now) == pytest.approx(one.seconds(now) / 2, rel=0.1)
    assert two.steps_per_second == pytest.approx(2 * one.steps_per_second, rel=0.01)


def test_a_run_is_never_done_before_its_budget_without_ending():
    """Runs in training last longer than their share of the work where nobody waits for a place."""
    elapsed, left = course([100] * 40 + [BUDGET], 41)
    half = len(left) // 2
    assert left[half] == pytest.approx(elapsed[-1] - elapsed[half], rel=0.05)
