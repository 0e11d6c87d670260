"""The figure of a diagram, with contenders or without."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from grokking_pl.plots.contenders import CONTENDER, contender_diagrams
from grokking_pl.plots.diagram import phase_diagram


def diagram_figure(
    runs: pd.DataFrame, axes: Sequence[str], labels: Mapping[str, str] = {}, marks: Mapping[str, float] = {}
) -> Figure:
    """Draw the phases and steps of a diagram; of a tournament, those of each contender.

    Args:
        runs: one row per run, as in ``runs.csv``.
        axes: the columns of all axes, with that of the contenders if there are some.
        labels: what axes are called, if not by their columns.
        marks: values on a single axis to mark by a line, by what they are.
    """
    plane = [axis for axis in axes if axis != CONTENDER]
    if len(plane) < len(axes):
        return contender_diagrams(runs, plane, labels)
    return phase_diagram(runs, plane, labels, marks)
