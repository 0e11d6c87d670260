"""The one-call prediction, and its agreement with the published runs of figures 3 and 4b."""

import sys

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.tasks import addition, modular_addition, modular_subtraction
from grokking_pl.theory import grokking_rate, predict
from tests.conftest import ROOT
from tests.shapes import unchecked

sys.path.append(str(ROOT / "scripts"))
import check_theory
from training_fraction import rank_correlation


@pytest.fixture(scope="module")
def published():
    """The 33 published runs, and what the theory predicts of each."""
    return check_theory.compare()


def test_the_linear_structure_is_observed_only_where_the_theory_says_it_is_implied(published):
    assert len(published) == 33
    assert published[published.observed].implied.all()
    # The other way round, 6 of the 20 implied structures were not observed within the published 10000 steps.
    assert published.agree.sum() == 27
    missed = published[published.implied & ~published.observed]
    assert missed.lambda_3.median() < published[published.observed].lambda_3.min()


def test_a_network_with_the_linear_structure_is_as_accurate_as_the_ideal_model(published):
    observed = published[published.observed]
    # RQI > 0.95, not 1, and the decoder may miss a sample the structure implies: 1 of 55 at most.
    assert (observed.predicted_accuracy - observed.ideal_accuracy).abs().max() < 1.5 / 55


def test_steps_have_the_predicted_order(published):
    """Runs that never get there, and structures that are not implied, both rank last."""
    implied = published[published.implied]
    assert rank_correlation(published.measured_steps, published.predicted_steps) > 0.8
    assert rank_correlation(implied.measured_steps, implied.predicted_steps) > 0.6
    words = check_theory.summary(published)
    assert words[:3] == [
        "implied and observed agree in 27 of 33 runs",
        "observed without being implied: 0 of 14",
        "implied and not observed: 6 of 20",
    ]


def test_figure_5b_has_every_run(published):
    figure = check_theory.figure_5b(published, trials=20)
    points = {line.get_label(): len(line.get_xdata()) for line in figure.axes[0].lines}
    assert points["measured, RQI > 0.95"] == 14
    assert points["not within 10000 steps"] == 19


def test_a_prediction_agrees_with_the_functions_it_joins():
    table = addition(10)
    train = torch.randperm(len(table), generator=torch.Generator().manual_seed(0))[:40]
    prediction = predict(table, train)
    assert prediction.lambda_3 == pytest.approx(float(grokking_rate(table, train)))
    assert prediction.steps(1e-3) == pytest.approx(1e3 * prediction.time)
    assert prediction.time == pytest.approx(1 / prediction.lambda_3)
    assert prediction.spectrum[2] == prediction.lambda_3
    assert prediction.faithful


def test_an_empty_training_set_predicts_nothing():
    prediction = predict(addition(6), torch.tensor([], dtype=torch.long))
    assert (prediction.lambda_3, prediction.n0, prediction.unique, prediction.ideal_accuracy) == (0, 6, False, 0)
    assert prediction.steps(1.0) == float("inf")


def test_a_group_is_reported_as_not_faithful():
    prediction = predict(modular_addition(7))
    assert prediction.unique
    assert not prediction.faithful
    assert prediction.full_nullity == 1
    assert prediction.lambda_3 == prediction.spectrum[1] > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict(modular_subtraction(5)), "does not commute"),
        (lambda: predict(addition(5), torch.ones(2, 15, dtype=torch.bool)), "expected one set"),
        (lambda: predict(addition(5)).steps(0), "learning_rate is 0"),
    ],
)
def test_what_is_not_defined_is_refused(call, message):
    with unchecked(), pytest.raises(UserError, match=message):
        call()
