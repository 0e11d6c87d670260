"""Labels of figures are words; the options they stand for are in the caption."""

import pandas as pd
import pytest
import yaml

from grokking_pl.experiments import read_grid
from grokking_pl.plots.axis_labels import axis_labels, in_words, paths_in_words, steps_in_words
from grokking_pl.plots.diagram_figure import diagram_figure
from tests.conftest import ROOT
from tests.plots.test_axis_curves import runs_of

LR, DECAY = "model.decoder.lr", "model.decoder.weight_decay"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (LR, "decoder learning rate"),
        (DECAY, "decoder weight decay"),
        ("model.embeddings.lr", "embedding learning rate"),
        ("model.embeddings.weight_decay", "embedding weight decay"),
        ("model.architecture.width", "width"),
        ("model.architecture.embedding_dim", "embedding dimension"),
        ("model.architecture", "architecture"),
        ("model.output_scale", "output scale"),
        ("data.train_count", "training samples"),
        ("data.train_fraction", "training fraction"),
        ("data.task.p", "p"),
        ("seed_everything", "seed"),
        ("decay", "decay"),
    ],
)
def test_options_in_words(name, words):
    assert in_words(name) == words


def test_given_labels_come_first_and_equal_words_are_told_apart():
    assert axis_labels([LR, DECAY], {DECAY: "decay"}) == {LR: "decoder learning rate", DECAY: "decay"}
    twice = ["model.architecture.width", "data.width"]
    assert axis_labels(twice) == dict(zip(twice, twice, strict=True))
    assert paths_in_words(twice) == ""
    assert steps_in_words("steps_to_val_1e-05") == "steps to validation accuracy 1e-05"


def test_axes_of_the_bundled_diagrams_are_labelled_in_words():
    given = [yaml.safe_load(file.read_text()) for file in (ROOT / "configs").rglob("*.yaml")]
    grids = [read_grid(config["axes"], [0]) for config in given if isinstance(config, dict) and "axes" in config]
    assert len(grids) > 10
    for grid in grids:
        labels = axis_labels(list(grid.axes), grid.labels).values()
        assert not [label for label in labels if "." in label or "_" in label]


def two_axes():
    runs = [runs_of(LR, {1e-3: [(1, 2)], 1e-2: [(1, None)]}, [["grokking"], ["memorization"]]) for _ in range(2)]
    return pd.concat([table.assign(**{DECAY: decay}) for decay, table in enumerate(runs)], ignore_index=True)


@pytest.mark.parametrize("axes", [[LR], [DECAY, LR], ["contender", DECAY, LR]])
def test_figures_of_diagrams(axes):
    runs = two_axes().assign(contender="control")
    figure = diagram_figure(runs if len(axes) > 1 else runs[runs[DECAY] == 0], axes)
    panel = figure.axes[0]
    assert panel.get_xlabel() == "decoder learning rate"
    assert panel.get_ylabel() == ("decoder weight decay" if len(axes) > 1 else "steps")
    assert f"decoder learning rate: {LR}" in figure.get_supxlabel().replace("\n", " ")
    shown = [text for part in figure.axes for text in (part.get_xlabel(), part.get_ylabel(), part.get_title("left"))]
    assert not [text for text in shown if "." in text or "_" in text]
