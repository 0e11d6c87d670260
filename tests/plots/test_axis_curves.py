"""Diagrams along one axis: curves of the steps over the phases, with what the theory says of the training fraction."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.commands.base_callbacks import interventions_among
from grokking_pl.commands.theory_marks import theory_marks
from grokking_pl.experiments import read_grid
from grokking_pl.metrics.phases import Phase
from grokking_pl.plots.axis_curves import most_frequent
from grokking_pl.plots.diagram import draw_phases, phase_diagram
from grokking_pl.population.diagram import read_base
from tests.conftest import ROOT


def runs_of(axis, steps, phases):
    """Two seeds at each value: steps to both thresholds, and phases."""
    rows = [
        {axis: value, "seed": seed, "phase": phase, "steps_to_train": train, "steps_to_val": val}
        for (value, pairs), names in zip(steps.items(), phases, strict=True)
        for seed, ((train, val), phase) in enumerate(zip(pairs, names, strict=True))
    ]
    return pd.DataFrame(rows)


@given(st.lists(st.sampled_from(list(Phase)), min_size=1, max_size=12))
def test_most_frequent_phases(phases):
    numbers = Counter(phases)
    expected = {phase for phase, number in numbers.items() if number == max(numbers.values())}
    found = most_frequent(pd.Series(map(str, phases)))
    assert set(found) == expected
    assert found == sorted(found, key=list(Phase).index)


def test_curves_are_medians_and_never_is_at_the_upper_edge():
    steps = {1e-4: [(10, 100), (30, 300), (20, 200)], 1e-2: [(5, None), (6, None), (7, 50)]}
    runs = runs_of("lr", steps, [["comprehension"] * 3, ["memorization", "memorization", "comprehension"]])
    figure = phase_diagram(runs, ["lr"], {"lr": "learning rate"}, {"a mark": 1e-3})
    panel = figure.axes[0]
    assert (panel.get_xscale(), panel.get_xlabel()) == ("log", "learning rate")
    lines = {line.get_label(): line for line in panel.lines}
    np.testing.assert_array_equal(lines["training threshold"].get_ydata(), [20, 6])
    np.testing.assert_array_equal(lines["validation threshold"].get_ydata(), [200, np.nan])
    triangles = [line for line in panel.lines if line.get_marker() == "^" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in triangles] == [[1e-2]]
    assert list(lines["a mark"].get_xdata()) == [1e-3, 1e-3]


def test_ties_are_shown():
    tie = [["comprehension", "grokking"]]
    runs = runs_of("model.decoder", {"AdamW": [(1, 2), (1, 2000)]}, tie)
    assert len(phase_diagram(runs, ["model.decoder"]).axes[0].patches) == 2
    from matplotlib.figure import Figure

    panel = Figure().subplots()
    draw_phases(panel, runs, ["model.decoder"])
    assert [text.get_text() for text in panel.texts] == ["C/G\n50%"]


@pytest.mark.parametrize(
    ("axes", "changes", "expected"),
    [
        ({"data.train_count": [20, 30]}, {}, 0.41 * 55),
        ({"data.train_fraction": [0.3, 0.6]}, {"data.train_count": None}, 0.41),
        ({"model.decoder.lr": [1e-3, 1e-2]}, {}, None),
        ({"data.train_count": [20, 30], "model.decoder.lr": [1e-3, 1e-2]}, {}, None),
    ],
)
def test_the_critical_fraction_is_marked_where_the_axis_is_the_training_fraction(axes, changes, expected):
    base, _ = read_base(Path(ROOT / "configs/toy_addition.yaml"), changes, interventions_among)
    marks = theory_marks(read_grid(axes, [0]), base)
    assert list(marks.values()) == ([pytest.approx(expected, rel=0.05)] if expected else [])


def test_a_task_that_does_not_commute_has_no_mark():
    base, _ = read_base(Path(ROOT / "configs/permutation_s3.yaml"), {}, interventions_among)
    assert theory_marks(read_grid({"data.train_count": [20, 30]}, [0]), base) == {}
