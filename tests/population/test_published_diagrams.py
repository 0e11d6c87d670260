"""Whole diagrams against the grids that the paper's authors published."""

import pandas as pd
import pytest

from scripts import check_diagrams
from tests.conftest import ROOT


def published_as_ours(name):
    """The published table as `grok diagram` would have written it."""
    published = pd.read_csv(check_diagrams.REFERENCE / f"{name}.csv")
    ours = published.rename(columns=check_diagrams.COLUMNS)
    for which, shift in (("train", 1), ("val", 0)):
        steps = published[f"steps_to_{which}_acc_0.9"]
        ours[f"steps_to_{which}"] = (steps + shift).where(steps < check_diagrams.LAST_STEP)
    return ours


@pytest.mark.parametrize("name", check_diagrams.LABELS_WANTED)
def test_comparison_counts_what_differs(name):
    runs = published_as_ours(name)
    both = check_diagrams.compare(name, runs)
    assert all(agree == total for agree, total in check_diagrams.agreement(both).values())
    reached = runs.steps_to_val.notna()
    runs.loc[runs[reached].index[:3], "steps_to_val"] = float("nan")
    labels, total = check_diagrams.agreement(check_diagrams.compare(name, runs))["labels, delay 1000"]
    assert (labels, total) == (len(runs) - 3, len(runs))


@pytest.mark.slow
@pytest.mark.parametrize("name", check_diagrams.LABELS_WANTED)
def test_labels_and_steps_are_the_published_ones(name, grok, tmp_path):
    config = ROOT / f"configs/diagrams/{name}.yaml"
    status, _, err = grok("diagram", "--config", config, "--folder", tmp_path / name)
    assert status == 0, err
    agreement = check_diagrams.agreement(check_diagrams.compare(name, pd.read_csv(tmp_path / name / "runs.csv")))
    for delay in check_diagrams.DELAYS:
        assert agreement[f"labels, delay {delay}"][0] >= check_diagrams.LABELS_WANTED[name]
    for which in ("train", "val"):
        agree, total = agreement[f"{which} steps within 5 %, rates <= 0.001"]
        assert agree >= total - (name == "figure5b")
