"""The power of embeddings at each frequency, before and after training."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from grokking_pl.plots.colours import VERMILION

COLOURS = ("#bbbbbb", VERMILION)


def spectrum(spectra: Mapping[int, Float[np.ndarray, " frequencies"]], factor: float) -> Figure:
    """Draw the fraction of the power at each frequency.

    Args:
        spectra: fractions by step; the first and last are drawn.
        factor: multiple of the uniform share that defines key frequencies; drawn as a line.
    """
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    steps = sorted({min(spectra), max(spectra)})
    frequencies = np.arange(1, len(spectra[steps[0]]) + 1)
    width = 0.8 / len(steps)
    for number, (step, colour) in enumerate(zip(steps, COLOURS, strict=False)):
        offset = (number - (len(steps) - 1) / 2) * width
        axes.bar(frequencies + offset, spectra[step], width, color=colour, label=f"step {step}")
    axes.axhline(factor / len(frequencies), color="black", linewidth=0.8, linestyle="--", label=f"{factor:g} × uniform")
    axes.set(xlabel="frequency", ylabel="fraction of the power")
    axes.legend(frameon=False)
    return figure
