"""The figure of a diagram, with or without contenders."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from grokking_pl.plots.contenders import CONTENDER, contender_diagrams
from grokking_pl.plots.diagram import phase_diagram


def diagram_figure(
    runs: pd.DataFrame, axes: Sequence[str], labels: Mapping[str, str] = {}, marks: Mapping[str, float] = {}
) -> Figure:
    """Draw the phases and steps of a diagram, for a tournament those of each contender.

    Args:
        runs: one row per run, as in ``runs.csv``.
        axes: columns of all axes, including that of the contenders, if any.
        labels: labels of axes, if different from their names in words.
        marks: values of a single axis to mark by lines, by label.
    """
    plane = [axis for axis in axes if axis != CONTENDER]
    if len(plane) < len(axes):
        return contender_diagrams(runs, plane, labels)
    return phase_diagram(runs, plane, labels, marks)
