"""A study from its configuration: tables, figures, errors."""

import io
from pathlib import Path

import jsonargparse
import pytest
from rich.console import Console

from grokking_pl.commands.theory import print_results, run_study
from grokking_pl.errors import UserError
from grokking_pl.tasks import addition, modular_addition, modular_subtraction
from grokking_pl.theory import TheoryStudy

CONFIG = Path(__file__).parent.parent.parent / "configs/theory_addition.yaml"


def quiet():
    return Console(file=io.StringIO(), width=100)


def test_results_are_those_of_the_whole_table_at_its_end():
    results = TheoryStudy(addition(6), trials=50, rate_trials=20, symbols=[4, 6], symbol_trials=20).run()
    assert len(results.unique) == 21
    assert results.rates.steps_q50.iloc[0] == float("inf")
    assert results.rates.rate_q50.iloc[-1] == pytest.approx(results.whole.lambda_3)
    assert list(results.by_p.p) == [4, 6]


def test_a_group_gets_its_warning():
    console = quiet()
    results = TheoryStudy(modular_addition(5), trials=20, rate_trials=5).run()
    print_results(results, console)
    assert "does not separate" in console.file.getvalue()
    assert results.by_p.empty


def test_sizes_come_from_counts_and_fractions():
    assert TheoryStudy(addition(10), train_counts=[10], train_fractions=[0.5, 1.0]).sizes() == [10, 28, 55]
    assert TheoryStudy(addition(10)).sizes() == list(range(1, 56))
    assert len(TheoryStudy(addition(40)).sizes()) == 60


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (TheoryStudy(addition(5), train_fractions=[1.5]), "from 0 to 1"),
        (TheoryStudy(addition(5), train_counts=[16]), "expected 0 to 15"),
        (TheoryStudy(addition(5), learning_rate=0.0), "learning_rate is 0"),
        (TheoryStudy(addition(5), trials=0), "trials is 0"),
        (TheoryStudy(modular_subtraction(5)), "does not commute"),
    ],
)
def test_mistakes_are_named(study, message, tmp_path):
    with pytest.raises(UserError, match=message):
        run_study(study, tmp_path, quiet())


def test_the_folder_must_be_writable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        run_study(TheoryStudy(addition(4), trials=5, rate_trials=5), tmp_path / "file", quiet())


def test_the_configuration_parses():
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(TheoryStudy)
    parsed = parser.parse_args(["--config", str(CONFIG)])
    assert parsed.task.class_path == "grokking_pl.tasks.addition"
    assert parsed.trials == 10_000
