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
from grokking_pl.population.diagram import read_base, settings_of
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


PHASES = [
    ["comprehension"] * 3,
    ["memorization", "memorization", "comprehension"],
    ["memorization", "memorization", "memorization", "confusion"],
]
STEPS = {
    1e-4: [(10, 100), (30, 300), (20, 200)],
    1e-2: [(5, None), (6, None), (7, 50)],
    1: [(5, None), (7, None), (6, None), (8, None)],
}


@pytest.fixture(scope="module")
def figure():
    return phase_diagram(runs_of("lr", STEPS, PHASES), ["lr"], {"lr": "learning rate"}, {"a mark": 1e-3})


def test_lines_are_medians_with_markers(figure):
    panel = figure.axes[0]
    assert (panel.get_xscale(), panel.get_xlabel()) == ("log", "learning rate")
    lines = {line.get_label(): line for line in panel.lines}
    np.testing.assert_array_equal(lines["training threshold"].get_ydata(), [20, 6, 6.5])
    np.testing.assert_array_equal(lines["validation threshold"].get_ydata(), [200, np.nan, np.nan])
    assert "None" not in {lines[f"{which} threshold"].get_marker() for which in ("training", "validation")}
    assert list(lines["a mark"].get_xdata()) == [1e-3, 1e-3]


def test_never_is_a_row_of_its_own(figure):
    panel, row = figure.axes
    assert [label.get_text() for label in row.get_yticklabels()] == ["never"]
    assert row.get_position().y0 > panel.get_position().y1
    places = [list(line.get_xdata()) for line in row.lines if line.get_marker() in ("o", ".")]
    assert places == [[], [], [1e-2, 1], [1e-2, 1]]
    highest = max(path.vertices[:, 1].max() for band in panel.collections for path in band.get_paths())
    assert highest == 250
    assert panel.get_ylim()[1] < 400


def test_no_row_where_all_runs_reach_both_thresholds():
    runs = runs_of("lr", {1: [(10, 100)], 2: [(5, 6)]}, [["comprehension"]] * 2)
    assert len(phase_diagram(runs, ["lr"]).axes) == 1


def test_a_figure_where_no_run_reaches_a_threshold():
    figure = phase_diagram(runs_of("lr", {1: [(None, None)], 2: [(None, None)]}, [["confusion"]] * 2), ["lr"])
    figure.canvas.draw()
    assert len(figure.axes) == 2


def test_the_legend_has_the_phases_of_the_background_and_the_caption_the_seeds(figure):
    (legend,) = figure.legends
    phases = {text.get_text() for text in legend.texts} & set(map(str, Phase))
    assert phases == {"comprehension", "memorization"}
    assert "medians of 3 to 4 seeds; bands: interpolated quartiles" in figure.get_supxlabel()


def test_steps_have_plain_numbers():
    steps = {(lr, decay): 60 * (lr + decay + 1) for lr in (0, 1) for decay in (0, 5)}
    rows = [
        {"lr": lr, "decay": decay, "seed": 0, "phase": "comprehension", "steps_to_train": step, "steps_to_val": step}
        for (lr, decay), step in steps.items()
    ]
    figure = phase_diagram(pd.DataFrame(rows), ["lr", "decay"])
    figure.canvas.draw()
    for bar in figure.axes[3:]:
        assert bar.get_ylabel() == "steps (grey: never)"
        labels = bar.yaxis.get_ticklabels(which="both")
        assert [label.get_text() for label in labels if label.get_text()] == ["100", "200"]


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
    base, _ = settings_of(read_base(Path(ROOT / "configs/toy_addition.yaml")), changes, interventions_among)
    marks = theory_marks(read_grid(axes, [0]), base)
    assert list(marks.values()) == ([pytest.approx(expected, rel=0.05)] if expected else [])


def test_a_task_that_does_not_commute_has_no_mark():
    base, _ = settings_of(read_base(Path(ROOT / "configs/permutation_s3.yaml")), {}, interventions_among)
    assert theory_marks(read_grid({"data.train_count": [20, 30]}, [0]), base) == {}
