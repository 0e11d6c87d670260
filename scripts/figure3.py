"""Figure 3 of the paper: the accuracy of networks, and the one that their representations predict.

python scripts/figure3.py --quick    one seed: 11 of the 33 published runs
python scripts/figure3.py            all of them

Toy addition of 0 .. 9, 5000 steps, training sets of 5 to 54 of the 55 samples.
"""

import pandas as pd
from figure_run import FigureRun, make, seeds_of
from matplotlib.figure import Figure
from published import SAMPLES
from training_fraction import training_fraction_runs

from grokking_pl.plots.accuracy_scatter import draw_accuracy_scatter, draw_by_fraction
from grokking_pl.plots.captions import letter
from grokking_pl.plots.curves import PUBLISHED_STYLE
from grokking_pl.plots.theory import THEORY_COLOUR

NAMES = ("accuracy", "predicted_accuracy")


def draw(run: FigureRun) -> None:
    """Accuracy against training fraction, measured and predicted, and the one against the other."""
    runs = training_fraction_runs(run, "figure3_small" if run.quick else "figure3")
    figure = Figure(figsize=(12, 3.7), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, name, label, mark in zip(
        panels, NAMES, ("Acc", r"predicted Acc, $\widehat{\mathrm{Acc}}$"), "ab", strict=False
    ):
        draw_by_fraction(panel, runs, name, label, THEORY_COLOUR)
        panel.set(ylim=(0, 1.05))
        letter(panel, mark)
    panels[0].legend(loc="lower right", fontsize=8)
    columns = (runs.predicted_accuracy, runs.accuracy, runs.train_fraction)
    draw_accuracy_scatter(panels[2], *(column.to_numpy() for column in columns))
    panels[2].plot(runs.published_predicted_accuracy, runs.published_accuracy, **PUBLISHED_STYLE)
    letter(panels[2], "c")
    run.save(figure, caption(runs), {"runs": runs})


def caption(runs: pd.DataFrame) -> str:
    """What the figure shows, with its numbers."""
    off = {name: (SAMPLES * (runs[name] - runs[f"published_{name}"])).round().abs() for name in NAMES}
    equal = {name: int((values == 0).sum()) for name, values in off.items()}
    gap = (runs.accuracy - runs.predicted_accuracy).abs()
    return f"""
    Figure 3. Accuracy on the full dataset, (a) measured, Acc, and (b) predicted from the representation of the
    embeddings, as functions of the training data fraction; (c) their agreement. Toy addition, p = 10, 1-D embeddings,
    {len(runs)} runs of {seeds_of(runs)}. Points: runs; line: median; diamonds: the published runs of the
    same seeds. The two accuracies differ by {gap.mean():.3f} on average, {gap.max():.3f} at most; correlation
    {runs.accuracy.corr(runs.predicted_accuracy):.3f}. Agreement with the published numbers: Acc equal in
    {equal["accuracy"]} of {len(runs)} runs, predicted Acc in {equal["predicted_accuracy"]}; the largest difference is
    {max(values.max() for values in off.values()):.0f} of {SAMPLES} samples.
    """


if __name__ == "__main__":
    make(draw, __doc__)
