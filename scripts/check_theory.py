"""Compare the effective theory with the steps to RQI > 0.95 that the paper's authors published (figures 4b and 5b).

    python scripts/check_theory.py                                from the 33 published runs alone, in seconds
    python scripts/check_theory.py --weights 4                    also trains from other initial weights; long
    python scripts/check_theory.py --weights 4 --decoder_lr 1e-5  the same with a decoder ten times slower

Prints, for each published training set, whether it implies the linear structure and whether the structure was observed
in the network; how many agree; and the rank correlation of measured and predicted steps. Writes the table and figure 5b
of the paper to runs/theory.
"""

import argparse

import numpy as np
import pandas as pd
from check_published import Run, figure_3_run, fit_all
from matplotlib.figure import Figure
from published import ROOT, SAMPLES, STEPS, training_fractions
from tables import print_table
from training_fraction import prediction_of, rank_correlation

from grokking_pl.plots.theory import predicted_steps
from grokking_pl.tasks import addition
from grokking_pl.theory import critical_fraction_of, rate_quantiles, sample_rates

RUNS = ROOT / "runs/theory"
LEARNING_RATE = 1e-3
SYMBOLS = 10


def compare() -> pd.DataFrame:
    """Compare theory and network, one row per published run."""
    rows = []
    for run in training_fractions().to_dict("records"):
        prediction = prediction_of(run["train_num"], run["seed"])
        observed = not np.isnan(run["steps_to_rqi"])
        rows.append(
            {
                "train_num": run["train_num"],
                "seed": run["seed"],
                "n0": prediction.n0,
                "lambda_3": prediction.lambda_3,
                "predicted_steps": prediction.steps(LEARNING_RATE),
                "measured_steps": run["steps_to_rqi"] if observed else np.inf,
                "implied": prediction.unique,
                "observed": observed,
                "ideal_accuracy": prediction.ideal_accuracy,
                "predicted_accuracy": run["predicted_accuracy"],
            }
        )
    frame = pd.DataFrame(rows)
    frame["agree"] = frame.implied == frame.observed
    return frame


def summary(frame: pd.DataFrame) -> list[str]:
    """The comparison in words."""
    observed, implied = frame[frame.observed], frame[frame.implied]
    full_batch = observed[observed.train_num <= 45]

    def correlation(runs: pd.DataFrame) -> str:
        return f"{rank_correlation(runs.measured_steps, runs.predicted_steps):.2f} over"

    shares = observed.measured_steps / observed.predicted_steps
    return [
        f"implied and observed agree in {frame.agree.sum()} of {len(frame)} runs",
        f"observed without being implied: {(frame.observed & ~frame.implied).sum()} of {len(observed)}",
        f"implied and not observed: {(frame.implied & ~frame.observed).sum()} of {len(implied)}",
        f"rank correlation of measured and predicted steps: {correlation(frame)} all {len(frame)} runs, "
        f"{correlation(implied)} the {len(implied)} where the structure is implied, "
        f"{correlation(observed)} the {len(observed)} where it was observed, "
        f"{correlation(full_batch)} the {len(full_batch)} of these trained on full batches",
        f"measured over predicted steps: median {shares.median():.3f}, from {shares.min():.3f} to {shares.max():.3f}",
    ]


def figure_5b(frame: pd.DataFrame, trials: int = 1000) -> Figure:
    """Draw predicted and measured steps against the training fraction (figure 5 (b) of the paper)."""
    table = addition(SYMBOLS)
    sizes = list(range(5, SAMPLES + 1))
    curve = rate_quantiles(table, sizes, sample_rates(table, sizes, trials), LEARNING_RATE)
    figure = predicted_steps(curve, critical_fraction_of(table, 4 * trials).r_c, "a + b, p = 10", LEARNING_RATE)
    axes = figure.axes[0]
    observed, missed = frame[frame.observed], frame[~frame.observed]
    axes.plot(observed.train_num / SAMPLES, observed.measured_steps, "ko", label="measured, RQI > 0.95")
    axes.plot(missed.train_num / SAMPLES, np.full(len(missed), STEPS), "kx", label=f"not within {STEPS} steps")
    axes.set_xlim(0.05, 1.02)
    axes.set_ylim(bottom=400)
    axes.set_ylabel("steps")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    figure.set_size_inches(8, 4)
    return figure


def other_weights(frame: pd.DataFrame, number: int, decoder_lr: float, steps: int, jobs: int) -> pd.DataFrame:
    """Count how often the structure forms from other initial weights, on published splits near and above the threshold.

    Finished runs are kept and not repeated.
    """
    chosen = frame[frame.train_num.between(20, 45)]  # the published code trains larger ones on partial batches
    runs = []
    for train_num, seed in zip(chosen.train_num, chosen.seed, strict=True):
        base = figure_3_run(train_num, seed)
        for weights in range(number):
            options = (
                *base.options,
                f"--model.init_seed={1000 + weights}",
                f"--model.decoder.lr={decoder_lr!r}",
                f"--trainer.max_steps={steps}",
            )
            runs.append(Run(f"{base.name}_weights_{weights}_lr_{decoder_lr:g}_steps_{steps}", options))
    observed = [summary["steps_to_rqi"] is not None for summary in fit_all(runs, jobs)]
    result = chosen[["train_num", "seed", "n0", "lambda_3", "observed"]].reset_index(drop=True)
    result["observed_from_other_weights"] = np.array(observed).reshape(-1, number).sum(1)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=int, default=0, help="initial weights to train each implied split from")
    parser.add_argument("--decoder_lr", type=float, default=1e-4, help="the decoder's learning rate in these runs")
    parser.add_argument("--steps", type=int, default=6000, help="steps of these runs")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    arguments = parser.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    frame = compare()
    frame.to_csv(RUNS / "figure4b.csv", index=False)
    print_table("figure 4b: what the training set implies, and what was observed in the network", frame)
    print("\n".join(summary(frame)))
    figure_5b(frame).savefig(RUNS / "figure5b.png", dpi=150)
    print(f"table and figure in {RUNS}")
    if arguments.weights:
        trained = other_weights(frame, arguments.weights, arguments.decoder_lr, arguments.steps, arguments.jobs)
        trained.to_csv(RUNS / f"other_weights_lr_{arguments.decoder_lr:g}.csv", index=False)
        print_table(f"the splits of 20 to 45 samples, each from {arguments.weights} other initial weights", trained)


if __name__ == "__main__":
    main()
