"""Figure 8 of the paper: grokking on MNIST.

python scripts/figure8.py --quick     2000 images, weight decay 0.5, 5000 steps; four cells of 2500 steps
python scripts/figure8.py --coarse    the published run, 100000 steps; 64 cells of 30000 steps, within an hour
python scripts/figure8.py             the published run and 400 cells of 100000 steps; for a GPU
"""

from typing import NamedTuple

import pandas as pd
from figure_run import FigureRun, make, metrics_of, phase_counts, summary_of
from matplotlib.figure import Figure
from published import DELAY

from grokking_pl.metrics import classify
from grokking_pl.plots.captions import letter
from grokking_pl.plots.curves import draw_accuracy_curves
from grokking_pl.plots.diagram import draw_phase_legend, draw_phases

QUICK_OPTIONS = ("--data.train_size=2000", "--model.embeddings.weight_decay=0.5", "--model.decoder.weight_decay=0.5",
                 "--trainer.max_steps=5000")  # fmt: skip
QUICK_SET = "--set={model.architecture.alpha: 9, data.train_size: 4000}"
"""With 1000 images no cell generalises within the diagram's 2500 steps."""
AXES = {"weight_decay": "weight decay", "model.decoder.lr": "last-layer learning rate"}
THRESHOLD = 0.9
MNIST_THRESHOLD = 0.6
"""The paper counts validation accuracy on MNIST from 60 % on."""
PUBLISHED_ACCURACY = {5000: 0.19, 40000: 0.83, 100000: 0.89}
"""On the validation set, by step."""


class Passed(NamedTuple):
    """Steps to both thresholds; None for never."""

    train: int | None
    val: int | None


def draw(run: FigureRun) -> None:
    """Training curves of a run that groks, and the phase diagram."""
    name = "mnist_small" if run.quick else "figure8_left"
    config, options = ("mnist_grok.yaml", QUICK_OPTIONS) if run.quick else ("figures/figure8_left.yaml", ())
    folder = run.fit({name: (config, options)})[name]
    runs = (
        run.diagram("figure8_right_small", QUICK_SET)
        if run.quick
        else run.diagram(f"figure8_right{'_coarse' * run.coarse}")
    )
    summary, metrics = summary_of(folder), metrics_of(folder, "train_accuracy", "val_accuracy")
    passed = Passed(
        summary["steps_to_train"], summary["steps_to_val" if run.quick else f"steps_to_val_{MNIST_THRESHOLD:g}"]
    )
    threshold = THRESHOLD if run.quick else MNIST_THRESHOLD
    phase = classify(*passed, DELAY)

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_accuracy_curves(
        left,
        metrics.step.to_numpy(),
        metrics.train_accuracy.to_numpy(),
        metrics.val_accuracy.to_numpy(),
        *passed,
        (THRESHOLD, threshold),
        phase,
    )
    left.legend(loc="upper left", fontsize=8)
    letter(left, "left", f"phase: {phase}")
    draw_phases(right, runs, tuple(AXES), AXES)
    draw_phase_legend(right, loc="center left", bbox_to_anchor=(1, 0.5))
    letter(right, "right")
    run.save(figure, caption(passed, threshold, metrics, runs, run), {"left": metrics, "right": runs})


def caption(passed: Passed, threshold: float, metrics: pd.DataFrame, runs: pd.DataFrame, run: FigureRun) -> str:
    """What the figure shows, with its numbers."""
    when = [
        f"{name} accuracy " + (f"never passes {level}" if step is None else f"passes {level} at step {step}")
        for name, step, level in (("training", passed.train, THRESHOLD), ("validation", passed.val, threshold))
    ]
    fitted = metrics.val_accuracy[metrics.step == passed.train]
    then = f", when validation stands at {fitted.iloc[0]:.2f}" if len(fitted) else ""
    at = metrics.set_index("step").val_accuracy
    here = [f"{at[step]:.2f}" if step in at else "-" for step in PUBLISHED_ACCURACY]
    setting = (
        "2000 training images and weight decay 0.5, which is faster than the published 1000 and 0.01"
        if run.quick
        else "1000 training images, weight decay 0.01, as published; validation stands at "
        f"{', '.join(here)} (published: {', '.join(f'{value:.2f}' for value in PUBLISHED_ACCURACY.values())}) at steps "
        f"{', '.join(map(str, PUBLISHED_ACCURACY))}"
    )
    cells = (
        "4000 images, 2500 steps, validation counted from 90 % on"
        if run.quick
        else f"1000 images, {30000 if run.coarse else 100000} steps, validation counted from 60 % on"
    )
    last = metrics.iloc[-1]
    return f"""
    Figure 8. Left: training curves for a run on MNIST, in the setting where grokking is observed: initial weights times
    8, {setting}. The {when[0]}{then}; the {when[1]}; at the end they are {last.train_accuracy:.3f} and
    {last.val_accuracy:.3f}. Right: phase diagram over the weight decay of all layers and the learning rate of the last
    layer alone, the others staying at 1e-3; initial weights times 9, {cells}; cells: {phase_counts(runs)}.
    """


if __name__ == "__main__":
    make(draw, __doc__, has_coarse=True)
