"""Several runs in one table, one figure and one page: groups of seeds, medians, and steps to thresholds."""

import json
import math

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
