"""The axes of a phase diagram label few cells, evenly, and the last one where that is possible."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from grokking_pl.plots.diagram import label_axes


def labels(rates):
    """The labelled cells and their labels, of an axis with these values."""
    panel = Figure().subplots()
    label_axes(panel, pd.DataFrame({"model.decoder.lr": rates}), ["model.decoder.lr"])
    return panel.get_xticks().astype(int).tolist(), [label.get_text() for label in panel.get_xticklabels()]


@pytest.mark.parametrize(
    ("cells", "labelled"),
    [
        (1, [0]),
        (5, [0, 1, 2, 3, 4]),
        (11, list(range(11))),
        (13, [0, 2, 4, 6, 8, 10, 12]),
        (14, [0, 2, 4, 6, 8, 10, 12]),
        (16, [0, 3, 6, 9, 12, 15]),
        (41, list(range(0, 41, 4))),
    ],
)
def test_labels_are_even(cells, labelled):
    rates = np.logspace(-5, -2, cells)
    places, words = labels(rates)
    assert places == labelled
    assert words == [f"{rates[place]:.3g}" for place in labelled]
