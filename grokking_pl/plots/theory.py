"""Figures of the effective theory: uniqueness, rates and steps by training fraction, r_c by p."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from grokking_pl.plots.colours import VERMILION

THEORY_COLOUR, BAND_COLOUR, MARK_COLOUR, REFERENCE_COLOUR = "#0072b2", "#56b4e9", VERMILION, "#666666"
"""Blues, vermilion and grey: distinct for the colour-blind and in print."""


def unique_structure(frame: pd.DataFrame, r_c: float, interval: tuple[float, float], task: str) -> Figure:
    """Draw the probability of a unique structure with its 95 % band and r_c (figure 4 (a) of the paper).

    Args:
        frame: columns train_fraction, probability, low, high.
        r_c: the critical fraction.
        interval: its 95 % interval.
        task: the operation's name.
    """
    figure, axes = _axes(task)
    draw_unique_structure(axes, frame, r_c, interval)
    return figure


def draw_unique_structure(axes: Axes, frame: pd.DataFrame, r_c: float, interval: tuple[float, float]) -> None:
    """Draw the probability of a unique structure in a panel."""
    axes.fill_between(frame.train_fraction, frame.low, frame.high, color=BAND_COLOUR, alpha=0.4, linewidth=0)
    style = "o-" if len(frame) <= 100 else "-"
    axes.plot(frame.train_fraction, frame.probability, style, color=THEORY_COLOUR, markersize=3)
    axes.axhline(0.5, color=REFERENCE_COLOUR, linewidth=0.8, linestyle=":")
    axes.axvspan(*interval, color=MARK_COLOUR, alpha=0.25, linewidth=0)
    axes.axvline(r_c, color=MARK_COLOUR, linewidth=1)
    left = r_c > 0.6
    axes.annotate(
        f"$r_c$ = {r_c:.3f}" if r_c > 0.05 else f"$r_c$ = {r_c:.5f}",
        (r_c, 0.06),
        xytext=(-6 if left else 6, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        color=MARK_COLOUR,
    )
    axes.set(ylabel="P(unique structure)", ylim=(-0.03, 1.03))


def grokking_rate(frame: pd.DataFrame, r_c: float, task: str) -> Figure:
    """Draw the distribution of the grokking rate over training sets of each size (figure 5 (a) of the paper).

    Args:
        frame: columns train_fraction, rate_q05, rate_q25, rate_q50, rate_q75, rate_q95.
        r_c: the critical fraction.
        task: the operation's name.
    """
    figure, axes = _axes(task)
    draw_grokking_rate(axes, frame, r_c)
    return figure


def draw_grokking_rate(axes: Axes, frame: pd.DataFrame, r_c: float) -> None:
    """Draw the distribution of the grokking rate in a panel."""
    _bands(axes, frame, "rate")
    _mark(axes, r_c)
    axes.set(ylabel=r"grokking rate $\lambda_3$")
    axes.set_ylim(bottom=-0.02 * frame.rate_q95.max() if frame.rate_q95.max() > 0 else None)
    axes.legend(loc="upper left", framealpha=1, edgecolor="none")


def predicted_steps(frame: pd.DataFrame, r_c: float, task: str, learning_rate: float) -> Figure:
    """Draw the predicted steps 1 / (lambda_3 eta) to the linear structure (figure 5 (b) of the paper).

    Infinite quantiles, for non-unique structures, are left blank.

    Args:
        frame: columns train_fraction, steps_q05, steps_q25, steps_q50, steps_q75, steps_q95.
        r_c: the critical fraction.
        task: the operation's name.
        learning_rate: learning rate eta.
    """
    figure, axes = _axes(task)
    draw_predicted_steps(axes, frame, r_c, learning_rate)
    return figure


def draw_predicted_steps(axes: Axes, frame: pd.DataFrame, r_c: float, learning_rate: float) -> None:
    """Draw the predicted steps in a panel."""
    columns = [name for name in frame if str(name).startswith("steps_")]
    finite = frame[columns].replace(np.inf, np.nan)
    ceiling = 10 * np.nanmax(finite.to_numpy()) if finite.notna().to_numpy().any() else 1.0
    drawn = frame.assign(**finite)
    # Upper edges of bands leave the figure where they are infinite.
    drawn[["steps_q75", "steps_q95"]] = drawn[["steps_q75", "steps_q95"]].fillna(ceiling)
    _bands(axes, drawn, "steps")
    _mark(axes, r_c)
    axes.set_yscale("log")
    axes.set(ylabel=rf"predicted steps $1/(\lambda_3\,\eta)$,  $\eta$ = {learning_rate:g}")
    if ceiling > 1:
        axes.set_ylim(0.7 * np.nanmin(finite.to_numpy()), ceiling / 10)
    axes.legend(loc="upper right", frameon=False)


def critical_fraction_by_p(frame: pd.DataFrame) -> Figure:
    """Draw the critical fraction of addition by p, with the fraction at which all symbols occur.

    Args:
        frame: columns p, r_c, low, high.
    """
    figure, axes = _axes("addition of p symbols")
    errors = np.stack([frame.r_c - frame.low, frame.high - frame.r_c])
    axes.errorbar(
        frame.p,
        frame.r_c,
        errors,
        fmt="o",
        color=THEORY_COLOUR,
        markersize=5,
        capsize=3,
        label="effective theory (95 %)",
    )
    p = np.geomspace(max(frame.p.min(), 3), frame.p.max(), 200)
    axes.plot(
        p,
        np.minimum((np.log(p) - np.log(np.log(2))) / p, 1),
        "--",
        color=REFERENCE_COLOUR,
        label=r"every symbol occurs: $(\ln p - \ln\ln 2)\,/\,p$",
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="symbols p", ylabel="critical training fraction $r_c$")
    axes.legend(loc="upper right", frameon=False)
    return figure


def _axes(task: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel="training fraction")
    axes.set_title(task, loc="left", fontweight="bold")
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _bands(axes: Axes, frame: pd.DataFrame, name: str) -> None:
    """Draw the median and the two bands around it."""
    x = frame.train_fraction
    for low, high, alpha, label in (("05", "95", 0.25, "5 to 95 %"), ("25", "75", 0.5, "25 to 75 %")):
        band = frame[f"{name}_q{low}"], frame[f"{name}_q{high}"]
        axes.fill_between(x, *band, color=BAND_COLOUR, alpha=alpha, linewidth=0, label=f"{label} of training sets")
    axes.plot(x, frame[f"{name}_q50"], color=THEORY_COLOUR, linewidth=1.8, label="median")


def _mark(axes: Axes, r_c: float) -> None:
    axes.axvline(r_c, color=MARK_COLOUR, linewidth=1, label=f"$r_c$ = {r_c:.3g}")
