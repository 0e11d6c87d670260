"""A metric of several groups of runs over steps, as medians and bands."""

import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from grokking_pl.plots.axis_labels import in_words
from grokking_pl.plots.captions import add_caption
from grokking_pl.plots.step_ticks import log_step_axis


def comparison_curves(
    curves: pd.DataFrame, metric: str, runs: dict[str, int], threshold: float | None = None
) -> Figure:
    """Draw the median over the runs of each group, and their quartiles as a band.

    Args:
        curves: columns group, step, median, low and high.
        metric: metric to draw.
        runs: number of runs per group.
        threshold: value of a horizontal line.
    """
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    panel = figure.subplots()
    colours = colormaps["tab10" if len(runs) <= 10 else "viridis"]
    for number, (name, curve) in enumerate(curves.groupby("group", sort=False)):
        colour = colours(number) if len(runs) <= 10 else colours(number / (len(runs) - 1))
        label = f"{name} (median and quartiles of {runs[str(name)]} seeds)" if runs[str(name)] > 1 else str(name)
        panel.plot(curve.step, curve["median"], color=colour, label=label)
        if runs[str(name)] > 1:
            panel.fill_between(curve.step, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
    if threshold is not None:
        panel.axhline(threshold, color="grey", linestyle=":", linewidth=1)
    log_step_axis(panel, curves.step.to_numpy(dtype=float))
    panel.set(xlabel="training step", ylabel=in_words(metric))
    panel.grid(alpha=0.2)
    figure.legend(loc="outside upper center", ncols=1 if len(runs) <= 4 else 2, fontsize=8, frameon=False)
    if max(runs.values()) > 1:
        add_caption(figure, "Lines: medians; bands: quartiles, by linear interpolation between runs.")
    return figure
