"""The command `grok theory`: what it writes and prints, and its answers to mistakes."""

import re
import shlex

import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT

CONFIG = ROOT / "configs/theory_addition.yaml"
SHORT = ("--trials=200", "--rate_trials=20", "--symbols=[4,6]", "--symbol_trials=20")


@pytest.fixture(scope="module")
def theory(grok):
    def run(folder, *options):
        return grok("theory", "--config", CONFIG, "--folder", folder, *SHORT, *options)

    return run


@pytest.fixture(scope="module")
def study(theory, tmp_path_factory):
    """The folder of a study, and what the command printed of it."""
    folder = tmp_path_factory.mktemp("theory") / "one"
    status, out, err = theory(folder)
    assert status == 0, err
    return folder, out


@pytest.fixture
def folder(study):
    return study[0]


def test_tables_figures_and_the_settings(study):
    folder, out = study
    for word in ("a + b, p = 10", "r_c = 0.4", "unique: probability", str(folder.name)):
        assert word in out
    unique = pd.read_csv(folder / "unique_structure.csv")
    assert unique.train_count.tolist() == list(range(1, 56))
    # The curve crosses 1/2 at the published critical fraction of 0.4.
    half = unique[unique.probability >= 0.5].train_fraction.min()
    assert 0.35 < half < 0.46
    steps = pd.read_csv(folder / "grokking_rate.csv").steps_q50
    assert steps.iloc[0] == float("inf")
    assert steps.iloc[-1] == pytest.approx(11666.67, rel=1e-4)
    assert pd.read_csv(folder / "critical_fraction_by_p.csv").p.tolist() == [4, 6]
    for name in ("unique_structure", "grokking_rate", "predicted_steps", "critical_fraction_by_p"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    assert (settings["trials"], settings["task"]["init_args"]["p"]) == (200, 10)


def test_the_settings_repeat_the_study(grok, folder, tmp_path):
    status, _, err = grok("theory", "--config", folder / "config.yaml", "--folder", tmp_path / "again")
    assert status == 0, err
    for name in ("unique_structure", "grokking_rate", "critical_fraction_by_p"):
        assert (tmp_path / f"again/{name}.csv").read_text() == (folder / f"{name}.csv").read_text()


def test_a_second_study_in_the_same_folder_is_refused(theory, folder):
    before = (folder / "unique_structure.csv").read_bytes()
    status, _, err = theory(folder, "--seed=1")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "holds a study: choose another folder with --folder" in err
    assert (folder / "unique_structure.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--trails=3"], "did you mean --trials?"),
        (["--task.p=0"], "p is 0, expected at least 2"),
        (["--task.q=0"], "there is no option task.q"),
        (["--train_fractions=[1.5]"], "the training fraction is 1.5, expected a number from 0 to 1"),
        (["--train_counts=[56]"], "expected 0 to 55"),
        (["--task=grokking_pl.tasks.modular_subtraction", "--task.p=5"], "does not commute"),
        (["--symbols=[2]"], "expected at least 3 symbols"),
        (["--trials=0"], "trials is 0"),
        (["--symbol_trials=0"], "trials is 0"),
        (["--trials=1000000000000"], "expected 1 to 100000000"),
        (["--seed=-1"], "seed is -1; it must be at least 0"),
        (["--learning_rate=0"], "learning_rate is 0"),
        (["--device=tpu"], "device tpu is not available"),
        (["--config=no/such.yaml"], "no/such.yaml"),
        (["--folder=/dev/null/study"], "/dev/null/study"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes_get_one_line_and_leave_no_study(theory, tmp_path, options, wanted):
    status, _, err = theory(tmp_path / "s", *options)
    assert status == 2
    assert wanted in err
    assert len(err.splitlines()) == 1
    assert err.startswith("grok: error: ")
    assert not (tmp_path / "s/config.yaml").exists()


def test_help_names_the_options(grok):
    status, out, _ = grok("theory", "--help")
    assert status == 0
    for option in ("--config", "--folder", "--task", "--train_fractions", "--trials", "--learning_rate", "--symbols"):
        assert option in out


def test_the_commands_of_the_documentation(grok, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    lines = re.findall(r"^grok .*$", (ROOT / "docs/pages/concepts/effective_theory.md").read_text(), re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        status, out, err = grok(*shlex.split(line, comments=True)[1:], "--print_config")
        assert status == 0, err
        assert "task:" in out
