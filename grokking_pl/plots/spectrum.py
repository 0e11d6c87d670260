"""The power of embeddings at each frequency, before training and after."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

COLOURS = ("#bbbbbb", "#c1440e")


def spectrum(spectra: Mapping[int, Float[np.ndarray, " frequencies"]], factor: float) -> Figure:
    """Draw the share of the power at each frequency.

    Args:
        spectra: shares by step; the first and the last are drawn.
        factor: how many times the equal share makes a key frequency; drawn as a line.
    """
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    steps = sorted({min(spectra), max(spectra)})
    frequencies = np.arange(1, len(spectra[steps[0]]) + 1)
    width = 0.8 / len(steps)
    for number, (step, colour) in enumerate(zip(steps, COLOURS, strict=False)):
        offset = (number - (len(steps) - 1) / 2) * width
        axes.bar(frequencies + offset, spectra[step], width, color=colour, label=f"step {step}")
    axes.axhline(factor / len(frequencies), color="black", linewidth=0.8, linestyle="--", label=f"{factor:g} × equal")
    axes.set(xlabel="frequency", ylabel="share of the power")
    axes.legend(frameon=False)
    return figure
