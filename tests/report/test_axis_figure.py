"""A diagram with one axis: its curves in the report, and the theory's critical fraction wherever it is drawn."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import grokking_pl as gp
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two training fractions on the two sides of the critical one, three seeds each, trained for 400 steps."""
    path = tmp_path_factory.mktemp("one_axis") / "diagram"
    gp.diagram(
        ROOT / "configs/figures/figure6a_small.yaml", folder=path, steps=400, workers=1, compile=False, seeds=[0, 1, 2],
        axes={"data.train_count": [15, 45]}, device="cpu", phase__delay=100,
        set={"model.decoder.lr": 1e-2, "model.embeddings.lr": 1e-2},
    )  # fmt: skip
    return path


def page_data(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script[^>]*id="report-data"[^>]*>(.*?)</script>', text, re.DOTALL)[1])


def test_report_draws_the_medians_of_the_table(folder, tmp_path):
    figure = page_data(gp.load(folder).report(tmp_path / "report.html"))["figures"]["axis-steps"]
    runs = pd.read_csv(folder / "runs.csv")
    lines = {line["name"]: line for line in figure["data"]}
    for name, words in (("train", "training"), ("val", "validation")):
        steps = runs[f"steps_to_{name}"].fillna(np.inf)
        medians = [sorted(steps[runs["data.train_count"] == count])[1] for count in (15, 45)]
        line = lines[f"{words} threshold, median"]
        assert line["x"] == [15, 45]
        assert [np.inf if value is None else value for value in line["y"]] == medians
        assert "markers" in line["mode"]
        missed = lines[f"{words} threshold, runs that never reached it"]
        assert missed["x"] == sorted(set(runs["data.train_count"][np.isinf(steps)]))
        assert missed["yaxis"] == "y2"
        dots = lines[f"{words} threshold, runs"]
        assert sorted(dots["y"]) == sorted(steps[np.isfinite(steps)])
    assert figure["layout"]["yaxis2"]["ticktext"] == ["never"]
    assert figure["layout"]["yaxis"]["domain"][1] < figure["layout"]["yaxis2"]["domain"][0]
    assert 10 ** figure["layout"]["yaxis"]["range"][1] < 1000
    (mark,) = json.loads((folder / "marks.json").read_text()).items()
    assert mark[0] in [note["text"] for note in figure["layout"]["annotations"]]
    assert mark[1] == pytest.approx(0.41 * 55, rel=0.05)
    backgrounds = [
        shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect" and shape.get("xref") != "paper"
    ]
    assert {shape["x0"] for shape in backgrounds} == {0, 30}


def test_figure_in_python_has_the_mark(folder):
    labels = [line.get_label() for line in gp.load(folder).figure().axes[0].lines]
    assert any(label.startswith("critical fraction of the theory") for label in labels)


def test_damaged_marks(folder):
    marks = folder / "marks.json"
    whole = marks.read_text()
    try:
        marks.write_text("[1]")
        with pytest.raises(gp.UserError, match=r"marks\.json is damaged"):
            gp.load(folder).figure()
    finally:
        marks.write_text(whole)
