"""The figure of class means over training."""

import numpy as np

from grokking_pl.plots.class_means import class_means_figure


def test_steps_begin_at_zero():
    steps = [0, 50, 500, 1000]
    means = np.random.default_rng(0).normal(size=(len(steps), 3, 4))
    panel = class_means_figure(steps, means, [1.0, 0.5, 0.2, 0.1], ["0", "1", "2"]).axes[1]
    assert panel.get_xlim() == (0, 1000)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0", "50", "100", "200", "500", "1000"]
