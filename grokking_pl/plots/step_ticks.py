"""Axes and colour bars of steps: logarithmic, with plain numbers."""

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

    >>> step_ticks(60, 900), step_ticks(3, 20000), step_ticks(610, 650)
    ([100.0, 200.0, 500.0], [10.0, 100.0, 1000.0, 10000.0], [610.0, 620.0, 630.0, 640.0, 650.0])
    """
    locator = LogLocator(subs=(1.0, 2.0, 5.0) if high < SHORT * low else (1.0,))
    ticks = [float(round(tick, 6)) for tick in locator.tick_values(low, high)]
    return [tick for tick in ticks if low <= tick <= high and tick.is_integer()]


def label_steps(axis: Axis, low: float, high: float, zero: bool = False) -> None:
    """Set plain numbers as the ticks of an axis from one positive step to another, and of step 0 before them."""
    axis.set_major_locator(FixedLocator([0.0] * zero + step_ticks(low, high)))
    axis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:.0f}"))
    axis.set_minor_locator(NullLocator())


def log_step_axis(panel: Axes, first: float, last: float) -> None:
    """Make a horizontal axis of training steps logarithmic, from the first positive step to the last.

    Step 0, if the axis begins there, is at the left edge; the interval to the next step is linear.

    Args:
        panel: axes to draw into, with all curves drawn.
        first: smallest positive step.
        last: largest step.
    """
    starts_at_zero = any(min(line.get_xdata(), default=1) == 0 for line in panel.lines)
    last = max(last, first + 1)
    if starts_at_zero:
        panel.set_xscale("symlog", linthresh=first, linscale=0.3)
    else:
        panel.set_xscale("log")
    panel.set_xlim(0 if starts_at_zero else first, last)
    label_steps(panel.xaxis, first, last, starts_at_zero)


def add_step_bar(figure: Figure, image: ScalarMappable, panel: Axes) -> Colorbar:
    """Add the colour bar of a panel's steps."""
    bar = figure.colorbar(image, ax=panel, label="steps (grey: never)")
    label_steps(bar.ax.yaxis, *map(float, image.get_clim()))
    return bar
