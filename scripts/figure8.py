"""Figure 8 of the paper: grokking on MNIST.

python scripts/figure8.py --quick     2000 images, weight decay 0.5, 5000 steps; four cells of 2500 steps
python scripts/figure8.py --coarse    the published run, 100000 steps; 64 cells of 30000 steps, within an hour
python scripts/figure8.py             the published run and 400 cells of 100000 steps; for a GPU
"""

from typing import Any

import pandas as pd
from figure_run import FigureRun, make, metrics_of, phase_counts, summary_of
from matplotlib.figure import Figure

from grokking_pl.metrics import Phase
from grokking_pl.plots.captions import letter
from grokking_pl.plots.curves import draw_accuracy_curves
from grokking_pl.plots.diagram import draw_phase_legend, draw_phases

QUICK_OPTIONS = ("--data.train_size=2000", "--model.embeddings.weight_decay=0.5", "--model.decoder.weight_decay=0.5",
                 "--trainer.max_steps=5000")  # fmt: skip
QUICK_SET = "--set={model.architecture.alpha: 9, data.train_size: 4000}"
"""With 1000 images no cell generalises within the diagram's 2500 steps."""
AXES = {"weight_decay": "weight decay", "model.decoder.lr": "last-layer learning rate"}


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

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_accuracy_curves(
        left,
        metrics.step.to_numpy(),
        metrics.train_accuracy.to_numpy(),
        metrics.val_accuracy.to_numpy(),
        summary["steps_to_train"],
        summary["steps_to_val"],
        (0.9, 0.9),
        Phase(summary["phase"]),
    )
    letter(left, "left", f"phase: {summary['phase']}")
    draw_phases(right, runs, tuple(AXES), AXES)
    draw_phase_legend(right, loc="center left", bbox_to_anchor=(1, 0.5))
    letter(right, "right")
    run.save(figure, caption(summary, metrics, runs, run), {"left": metrics, "right": runs})


def caption(summary: dict[str, Any], metrics: pd.DataFrame, runs: pd.DataFrame, run: FigureRun) -> str:
    """What the figure shows, with its numbers."""
    passed = [
        f"{name} accuracy " + ("never passes 0.9" if step is None else f"passes 0.9 at step {step}")
        for name, step in (("training", summary["steps_to_train"]), ("validation", summary["steps_to_val"]))
    ]
    fitted = metrics.val_accuracy[metrics.step == summary["steps_to_train"]]
    then = f", when validation stands at {fitted.iloc[0]:.2f}" if len(fitted) else ""
    setting = (
        "2000 training images and weight decay 0.5, which is faster than the published 1000 and 0.01"
        if run.quick
        else "1000 training images, weight decay 0.01, as published; there validation stood at 0.19, 0.83 and 0.89 at "
        "steps 5000, 40000 and 100000"
    )
    cells = (
        "4000 images, 2500 steps, validation counted from 90 % on"
        if run.quick
        else f"1000 images, {30000 if run.coarse else 100000} steps, validation counted from 60 % on"
    )
    return f"""
    Figure 8. Left: training curves for a run on MNIST, in the setting where grokking is observed: initial weights times
    8, {setting}. The {passed[0]}{then}; the {passed[1]}; at the end they are {summary["train_accuracy"]:.3f} and
    {summary["val_accuracy"]:.3f}. Right: phase diagram over the weight decay of all layers and the learning rate of the
    last layer alone, the others staying at 1e-3; initial weights times 9, {cells}; cells: {phase_counts(runs)}.
    """


if __name__ == "__main__":
    make(draw, __doc__, has_coarse=True)
