"""The phase diagrams of the contenders of a tournament, one below the other."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from grokking_pl.plots.axis_labels import paths_in_words, steps_in_words
from grokking_pl.plots.captions import add_caption
from grokking_pl.plots.diagram import draw_phase_legend, draw_phases, draw_steps, label_axes, median_steps, steps_norm
from grokking_pl.plots.step_ticks import add_step_bar

CONTENDER = "contender"
"""Column of the contenders in a diagram's table."""


def contender_diagrams(runs: pd.DataFrame, axes: Sequence[str], labels: Mapping[str, str] = {}) -> Figure:
    """Draw phases and median steps to the validation threshold for each contender, on common colour scales.

    Args:
        runs: one row per run, with the columns ``contender``, ``phase``, ``steps_to_val``, and one per axis.
        axes: columns of one axis, drawn to the right, or of two, the first drawn upwards.
        labels: labels of axes, if different from their names in words.
    """
    contenders = {str(name): group for name, group in runs.groupby(CONTENDER, sort=False)}
    steps = {name: median_steps(group, axes, "steps_to_val") for name, group in contenders.items()}
    norm = steps_norm(list(steps.values()))
    height = 2.8 if len(axes) == 2 else 1.6
    figure = Figure(figsize=(10, height * len(contenders) + 0.6), layout="constrained")
    for row, (name, group) in zip(figure.subplots(len(contenders), 2, squeeze=False), contenders.items(), strict=True):
        draw_phases(row[0], group, axes, labels)
        row[0].set_title(name, loc="left", fontweight="bold")
        image = draw_steps(row[1], steps[name], norm)
        label_axes(row[1], group, axes, labels)
        add_step_bar(figure, image, row[1])
        row[1].set_title(steps_in_words("steps_to_val"), loc="left")
    draw_phase_legend(figure, loc="outside upper center", ncols=4)
    add_caption(figure, paths_in_words(axes, labels))
    return figure
