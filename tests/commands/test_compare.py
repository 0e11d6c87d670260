"""Several runs in one table, one figure and one page: groups of seeds, medians, and steps to thresholds."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import grokking_pl as gp
from tests.conftest import ROOT

SMALL = [
    "--config", ROOT / "configs/toy_addition.yaml", "--trainer.max_steps=40", "--model.architecture.width=8",
    "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=5", "--trainer.log_every_n_steps=5",
    "--trainer.callbacks.train_threshold=0.3", "--trainer.callbacks.val_threshold=0.1",
    "--trainer.enable_progress_bar=false",
]  # fmt: skip
DECAYS, SEEDS = (0, 3), (0, 1, 2)


@pytest.fixture(scope="module")
def runs(grok, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for decay in DECAYS:
        for seed in SEEDS:
            status, _, err = grok(
                "fit", *SMALL, f"--model.decoder.weight_decay={decay}", f"--seed_everything={seed}",
                f"--run_dir={folder / f'decay_{decay}_seed_{seed}'}",
            )  # fmt: skip
            assert status == 0, err
    return folder


def summaries(runs, decay):
    paths = [runs / f"decay_{decay}_seed_{seed}" for seed in SEEDS]
    return paths, [json.loads((path / "summary.json").read_text()) for path in paths]


def test_table_has_the_medians_of_each_group(runs, grok, tmp_path):
    status, out, err = grok("compare", runs, "--output", tmp_path / "decays.png")
    assert status == 0, err
    assert (tmp_path / "decays.png").stat().st_size > 10_000
    table = pd.read_csv(tmp_path / "decays.csv")
    assert list(table.group) == ["decoder.weight_decay 0", "decoder.weight_decay 3"]
    for decay, row in zip(DECAYS, table.to_dict("records"), strict=True):
        _, of_group = summaries(runs, decay)
        for name in ("steps_to_train", "steps_to_val"):
            steps = [math.inf if one[name] is None else one[name] for one in of_group]
            assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == (np.median(steps), min(steps), max(steps))
        assert row["runs"] == len(SEEDS)
        assert row["val_accuracy"] == pytest.approx(np.median([one["val_accuracy"] for one in of_group]))
    assert "differ only in their seeds" in " ".join(out.split())


def test_curves_are_medians_over_seeds(runs):
    comparison = gp.compare(runs, "train_loss")
    paths, _ = summaries(runs, 3)
    losses = [
        pd.read_csv(path / "metrics.csv").dropna(subset="train_loss").set_index("step").train_loss for path in paths
    ]
    curve = comparison.curves.query("group == 'decoder.weight_decay 3'").set_index("step")
    np.testing.assert_allclose(curve["median"], np.median(losses, axis=0))
    np.testing.assert_allclose(curve.low, np.quantile(losses, 0.25, axis=0))
    np.testing.assert_allclose(curve.high, np.quantile(losses, 0.75, axis=0))


def test_steps_to_any_threshold_of_any_metric(runs):
    row = gp.compare([gp.load(path) for path in summaries(runs, 0)[0]], "train_accuracy", 0.2).table.iloc[0]
    firsts = []
    for path in summaries(runs, 0)[0]:
        metrics = pd.read_csv(path / "metrics.csv")
        reached = metrics[metrics.train_accuracy >= 0.2].step
        firsts.append(reached.iloc[0] if len(reached) else math.inf)
    assert row["steps_to_train_accuracy_0.2"] == np.median(firsts)


def measured(folder, name, every, rqi):
    """A run whose RQI is logged less often than it is measured."""
    path = folder / name
    path.mkdir()
    callback = {"class_path": "RepresentationQuality", "init_args": {"every_n_steps": every, "threshold": 0.95}}
    (path / "config.yaml").write_text(json.dumps({"seed_everything": name, "trainer": {"callbacks": [callback]}}))
    (path / "summary.json").write_text(json.dumps({"phase": "comprehension", "steps_to_rqi": rqi}))
    rows = [(step, 1 if rqi and step >= rqi else 0.5) for step in range(0, 1300, 100)]
    (path / "metrics.csv").write_text("step,rqi\n" + "".join(f"{step},{value}\n" for step, value in rows))
    return path


def test_steps_counted_by_the_runs_are_exact(grok, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [measured(tmp_path, f"run{k}", 1, step) for k, step in enumerate((834, 888, 1072))]
    status, out, err = grok("compare", *folders, "--metric=rqi", "--threshold=0.95")
    assert status == 0, err
    assert "888 (834 to 1072)" in out
    assert "first logged step" not in out
    status, out, err = grok("compare", *folders, "--metric=rqi", "--threshold=0.9")
    assert status == 0, err
    assert "900 (900 to 1100)" in out
    assert "steps to rqi 0.9: the first logged step" in out
    missed = [measured(tmp_path, f"missed{k}", 1, None) for k in range(2)]
    status, out, err = grok("compare", *missed, "--metric=rqi", "--threshold=0.95")
    assert status == 0, err
    assert out.count("never") == 1
    never = gp.compare([*folders, measured(tmp_path, "run3", 1, None)], "rqi", 0.95).table
    assert (never["steps_to_rqi_0.95_high"].item(), never.steps_from.item()) == (math.inf, "summary")


def test_the_axis_begins_at_step_0_without_an_empty_half(tmp_path):
    panel = gp.compare([measured(tmp_path, "run", 1, 834)], "rqi", 0.95).figure().axes[0]
    assert panel.get_xlim() == (0, 1200)
    width = panel.transAxes.inverted().transform(panel.transData.transform([(100, 0)]))[0, 0]
    assert 0 < width < 0.3
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["0", "100", "200", "500", "1000"]


@pytest.mark.parametrize(("rows", "limits"), [("0,0.5\n", (0, 2)), ("7,0.5\n", (7, 8)), ("40,0.5\n90,1\n", (40, 90))])
def test_the_axis_of_few_steps(rows, limits, tmp_path):
    path = measured(tmp_path, "run", 1, None)
    (path / "metrics.csv").write_text(f"step,rqi\n{rows}")
    figure = gp.compare([path], "rqi").figure()
    figure.canvas.draw()
    assert figure.axes[0].get_xlim() == limits


def test_tables_are_whole_when_piped(tmp_path):
    folders = [measured(tmp_path, f"{'a_long_name_of_a_run_' * 4}{k}", 1, 834) for k in range(2)]
    for folder in folders:
        (folder / "config.yaml").unlink()
    grok = Path(sys.executable).with_name("grok")
    command = [grok, "compare", *folders, "--metric=rqi", "--output", tmp_path / "figure.png"]
    piped = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "60"}, check=True)
    lines = piped.stdout.splitlines()
    for folder in folders:
        (line,) = (line for line in lines if folder.name in line)
        assert "comprehension" in line
    assert "…" not in piped.stdout


def test_one_page_of_several_runs(runs, grok, tmp_path):
    status, _, err = grok("report", *sorted(runs.iterdir()), "--output", tmp_path / "page.html")
    assert status == 0, err
    page = (tmp_path / "page.html").read_text()
    assert "6 runs in 2 groups" in page
    assert "decoder.weight_decay 3" in page


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["nowhere"], "nowhere does not exist"),
        ([ROOT / "README.md"], "is a file, not a folder"),
        ([ROOT / "configs"], "contains no run"),
        (["RUNS", "--metric=rqi"], "has no metric rqi; all runs have"),
        (["RUNS", "--metric=step"], "has no metric step; all runs have"),
        (["RUNS", "--metric=phase_name"], "the values of phase_name in"),
        (["RUNS", "--threshold=nan"], "the threshold is nan; it must be a number"),
        (["RUNS", "--output=page.txt"], "must end in .png"),
        ([], "give folders of runs"),
    ],
)
def test_wrong_comparisons(arguments, wanted, runs, grok, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = grok("compare", *(runs if argument == "RUNS" else argument for argument in arguments))
    assert (status, out) == (2, "")
    assert wanted in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
