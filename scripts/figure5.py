"""Figure 5 of the paper: the grokking rate against the training fraction, and the steps that it predicts.

python scripts/figure5.py --quick    one seed: 11 of the 33 published runs, half as long
python scripts/figure5.py            all of them, 10000 steps

Shares its runs with figure 4, and the quick ones with figure 3 too.
"""

import numpy as np
import pandas as pd
from figure_run import FigureRun, make, seeds_of
from matplotlib.figure import Figure
from published import SAMPLES
from training_fraction import agreement, prediction_of, published_within, rank_correlation, structure_runs

from grokking_pl.plots.captions import letter
from grokking_pl.plots.curves import PUBLISHED_STYLE
from grokking_pl.plots.theory import draw_grokking_rate, draw_predicted_steps
from grokking_pl.tasks import addition
from grokking_pl.theory import critical_fraction_of, rate_quantiles, sample_rates

TRIALS = 1000
ETA = 1e-3
SIZES = range(5, SAMPLES + 1)


def draw(run: FigureRun) -> None:
    """lambda_3 against training fraction; steps to the structure, predicted and measured."""
    table = addition(10)
    rates = rate_quantiles(table, SIZES, sample_rates(table, SIZES, TRIALS), ETA)
    r_c = critical_fraction_of(table, 4 * TRIALS).r_c
    runs, steps = structure_runs(run)
    predictions = [prediction_of(*pair) for pair in zip(runs.train_count, runs.seed, strict=True)]
    runs["lambda_3"] = [prediction.lambda_3 for prediction in predictions]
    runs["predicted_steps"] = [prediction.steps(ETA) for prediction in predictions]

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_grokking_rate(left, rates, r_c)
    left.plot(runs.train_fraction, runs.lambda_3, "k+", markersize=7, label="the runs' training sets")
    left.legend(loc="upper left", framealpha=1, edgecolor="none", fontsize=8)
    letter(left, "a", r"theory: grokking rate $\lambda_3$")

    draw_predicted_steps(right, rates, r_c, ETA)
    right.plot(runs.train_fraction, runs.predicted_steps, "k+", markersize=7, label="theory, the networks' sets")
    formed, missed = runs[runs.steps_to_rqi.notna()], runs[runs.steps_to_rqi.isna()]
    right.plot(formed.train_fraction, formed.steps_to_rqi, "ko", markersize=5, label="network, RQI > 0.95")
    right.plot(runs.train_fraction, published_within(runs, steps), **PUBLISHED_STYLE)
    right.plot(missed.train_fraction, np.full(len(missed), steps), "kx", label=f"network, not within {steps}")
    right.set_ylim(bottom=min([400, *formed.steps_to_rqi]))
    right.set_ylabel("steps")
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    letter(right, "b", "steps, predicted and measured")
    for panel in (left, right):
        panel.set(xlim=(0.05, 1.02), xlabel="training data fraction")
        panel.grid(alpha=0.2)
    run.save(figure, caption(runs, steps, r_c), {"a_rates": rates, "b_steps": runs})


def caption(runs: pd.DataFrame, steps: int, r_c: float) -> str:
    """What the figure shows, with its numbers."""
    measured, predicted = runs.steps_to_rqi, runs.predicted_steps
    implied, formed = runs.lambda_3 > 0, measured.notna()
    correlations = [
        f"{rank_correlation(measured[chosen], predicted[chosen]):.2f} over the {chosen.sum()} {which}"
        for chosen, which in (
            (implied | ~implied, "runs (never ranks last)"),
            (formed, "in which the structure formed"),
        )
    ]
    ratio = (predicted / measured)[implied & formed]
    clock = f"the theory's steps are {ratio.min():.0f} to {ratio.max():.0f} times the network's, " if len(ratio) else ""
    return f"""
    Figure 5. The effective theory and the dependence of grokking time on data size, for addition (p = 10). (a) lambda_3
    against the training data fraction, {TRIALS} random training sets of each size: zero for most below r_c = {r_c:.2f},
    then increasing. Plus signs: the training sets of the runs in (b). (b) Grokking steps (RQI > 0.95): 1/(lambda_3 eta)
    by the theory, eta = 1e-3 being the learning rate of the embeddings; {len(runs)} networks of {seeds_of(runs)},
    {steps} steps at most; diamonds: the published runs of the same seeds. Agreement with them:
    {agreement(runs, steps)}. The structure forms on {(implied & formed).sum()} of the {implied.sum()} training sets
    with lambda_3 > 0, and on {(~implied & formed).sum()} of the {(~implied).sum()} others. Rank correlation of
    predicted and measured steps: {", ".join(correlations)}. The clocks differ: {clock}since Adam does not follow the
    clock of a gradient flow.
    """


if __name__ == "__main__":
    make(draw, __doc__)
