"""Axes and colour bars of steps: logarithmic, with plain numbers."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

SHORT = 200
"""Ratio of largest to smallest step below which there are ticks between the powers of ten."""


def step_ticks(low: float, high: float) -> list[float]:
    """Round numbers of steps between two positive ones: powers of ten, and on a short axis those times 2 and 5.

    >>> step_ticks(60, 900), step_ticks(3, 20000)
    ([100.0, 200.0, 500.0], [10.0, 100.0, 1000.0, 10000.0])
    """
    locator = LogLocator(subs=(1.0, 2.0, 5.0) if high < SHORT * low else (1.0,))
    ticks = [float(round(tick, 6)) for tick in locator.tick_values(low, high)]
    return [tick for tick in ticks if low <= tick <= high and tick.is_integer()]


def label_steps(axis: Axis, low: float, high: float, zero: bool = False) -> None:
    """Set plain numbers as the ticks of an axis from one positive step to another, and of step 0 before them."""
    axis.set_major_locator(FixedLocator([0.0] * zero + step_ticks(low, high)))
    axis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:.0f}"))
    axis.set_minor_locator(NullLocator())


def log_step_axis(panel: Axes, steps: Float[np.ndarray, " steps"]) -> None:
    """Make a horizontal axis of training steps logarithmic, from the first step to the last.

    Step 0, if it is among them, is at the left edge; the interval to the next step is linear.

    Args:
        panel: axes to draw into.
        steps: steps that are drawn, in any order.
    """
    first = float(steps[steps > 0].min(initial=np.inf))
    last = float(steps.max(initial=0))
    if not np.isfinite(first):
        first = last = 1.0
    has_zero = bool((steps == 0).any())
    if has_zero:
        panel.set_xscale("symlog", linthresh=first, linscale=0.3)
    else:
        panel.set_xscale("log")
    last = max(last, first + 1)
    panel.set_xlim(0 if has_zero else first, last)
    label_steps(panel.xaxis, first, last, has_zero)


def add_step_bar(figure: Figure, image: ScalarMappable, panel: Axes) -> Colorbar:
    """Add the colour bar of a panel's steps."""
    bar = figure.colorbar(image, ax=panel, label="steps (grey: never)")
    low, high = image.get_clim()
    assert low is not None
    assert high is not None
    label_steps(bar.ax.yaxis, low, high)
    return bar
