"""A diagram with contenders: each trained on the whole grid, and compared at its own best cell."""

import json

import numpy as np
import pandas as pd
import pytest

import grokking_pl as gp
from tests.conftest import ROOT
from tests.small_diagram import SMALL_DIAGRAM

CONTENDERS = {
    "control": {},
    "filter": {"callbacks": [{"class_path": "GradientFilter", "init_args": {"lamb": 2.0}}]},
    "SGD": {"model.decoder": "SGD"},
}


def command(folder, contenders, *options):
    return [
        *SMALL_DIAGRAM,
        "--seeds=[0, 1, 2]",
        f"--folder={folder}",
        f"--contenders={json.dumps(contenders)}",
        *options,
    ]


@pytest.fixture(scope="module")
def tournament(grok, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tournament") / "one"
    status, out, err = grok(*command(folder, CONTENDERS))
    assert status == 0, err
    return folder, out


def test_every_contender_has_every_run(tournament):
    runs = pd.read_csv(tournament[0] / "runs.csv")
    assert runs.groupby("contender", sort=False).size().to_dict() == dict.fromkeys(CONTENDERS, 12)
    assert (tournament[0] / "phases.png").stat().st_size > 10_000


def test_a_contender_trains_as_a_diagram_with_its_settings(tournament, grok, tmp_path):
    options = [option for option in SMALL_DIAGRAM if not option.startswith("--set")]
    changes = "--set={model.architecture.width: 8, model.decoder: {class_path: SGD}}"
    status, _, err = grok(*options, changes, "--seeds=[0, 1, 2]", f"--folder={tmp_path / 'alone'}")
    assert status == 0, err
    runs = pd.read_csv(tournament[0] / "runs.csv")
    of_contender = runs[runs.contender == "SGD"].drop(columns="contender").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_contender, pd.read_csv(tmp_path / "alone/runs.csv"), rtol=1e-5)


def test_standings_are_those_of_the_table(tournament):
    folder, out = tournament
    runs, axes = pd.read_csv(folder / "runs.csv"), ["model.decoder.weight_decay", "model.decoder.lr"]
    table = pd.read_csv(folder / "standings.csv").set_index("contender")
    assert list(table.index) == list(CONTENDERS)
    for contender, row in table.iterrows():
        assert contender in out
        steps = runs[runs.contender == contender].assign(steps=lambda frame: frame.steps_to_val.fillna(np.inf))
        tuning = steps[steps.seed == 0].set_index(axes).steps
        assert tuning[tuple(row[axes])] == tuning.min()
        judged = steps[(steps.seed > 0) & (steps[axes] == row[axes].astype(float)).all(axis=1)].steps
        assert np.nan_to_num(row.median_steps, nan=np.inf) == judged.median()
        assert (row.reached, row.seeds) == (np.isfinite(judged).sum(), 2)


def test_the_figure_of_a_loaded_tournament_shows_each_contender(tournament):
    figure = gp.load(tournament[0]).figure()
    titles = [title for panel in figure.axes if (title := panel.get_title("left"))]
    assert titles == [title for name in CONTENDERS for title in (name, "steps to validation threshold")]


def test_going_on_with_a_finished_one_prints_the_standings(tournament, grok):
    folder, _ = tournament
    before = (folder / "runs.csv").read_bytes()
    (folder / "standings.csv").unlink()
    status, out, err = grok(*command(folder, CONTENDERS))
    assert status == 0
    assert "finished" in err
    assert "filter" in out
    assert (folder / "standings.csv").exists()
    assert (folder / "runs.csv").read_bytes() == before


def test_report_has_a_view_for_each_contender(tournament, grok):
    folder, _ = tournament
    status, _, err = grok("report", folder)
    assert status == 0, err
    page = (folder / "report.html").read_text()
    for contender in CONTENDERS:
        assert f">{contender}, majority of the seeds<" in page
        assert f">{contender}, seed 2<" in page


@pytest.mark.parametrize(
    ("contenders", "wanted"),
    [
        ({"control": {}}, "there is one contender, control"),
        ({"control": {}, "a": {"model.decodr.lr": 1}}, "did you mean model.decoder.lr?"),
        ({"control": {}, "a": {"model.decoder.lr": 1}}, "the axes set model.decoder.lr twice"),
        ({"control": {}, "a": {"callbacks": ["EarlyStopping"]}}, "the callback EarlyStopping of the contender a"),
        ({"control": {}, "a": {"callbacks": ["GradientFiltr"]}}, "the contender a has the callback GradientFiltr, but"),
        ({"control": {}, "a": {"callbacks": [{"class_path": "my_file.Nope"}]}}, "check the names of module and class"),
        (
            {"control": {}, "a": {"callbacks": [{"class_path": "GradientFilter", "init_args": {"lamb": -1.0}}]}},
            "lamb",
        ),
        ({"control": {}, "a": {"model.architecture.width": 8}}, "model.architecture.width"),
    ],
)
def test_wrong_contenders(contenders, wanted, grok, tmp_path):
    status, out, err = grok(*command(tmp_path / "one", contenders))
    assert status != 0
    assert not out
    assert wanted in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "one").exists()


def test_shipped_tournaments_begin(grok, tmp_path):
    for config in (ROOT / "configs/diagrams").glob("tournament_*.yaml"):
        status, _, err = grok(
            "diagram", "--config", config, "--steps=2", "--seeds=[0]", "--compile=false", "--workers=1",
            "--observe.every_n_steps=2", "--phase.every_n_steps=2",
            "--axes={model.decoder.lr: [1.0e-3, 2.0e-3]}", "--folder", tmp_path / config.stem,
        )  # fmt: skip
        assert status == 0, err
