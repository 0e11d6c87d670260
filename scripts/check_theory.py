"""Compare the effective theory with the steps to RQI > 0.95 that the paper's authors published (figures 4b and 5b).

    python scripts/check_theory.py                                from the 33 published runs alone, in seconds
    python scripts/check_theory.py --weights 4                    also trains from other initial weights; long
    python scripts/check_theory.py --weights 4 --decoder_lr 1e-5  the same with a decoder ten times slower

Prints, for each published training set, what it implies and what the network found; how many agree; the rank
correlation of measured and predicted steps; and leaves figure 5b of the paper beside the table under runs/theory.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor

from grokking_pl.plots.theory import predicted_steps
from grokking_pl.tasks import addition
from grokking_pl.theory import critical_fraction_of, predict, rate_quantiles, sample_rates

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "runs/theory"
LEARNING_RATE = 1e-3
NEVER = 9999  # how the published table writes that the threshold was not passed in 10000 steps
SYMBOLS, OUTPUTS = 10, 30


def published_split(train_num: int, seed: int) -> Int[Tensor, " train"]:
    """The training set of a published run: NumPy's legacy generator draws the targets before the split."""
    legacy = np.random.RandomState(seed)
    legacy.normal(0, 1, size=(2 * SYMBOLS - 1, OUTPUTS))
    return torch.from_numpy(legacy.choice(len(addition(SYMBOLS)), train_num, replace=False))


def compare() -> pd.DataFrame:
    """One row a published run: what its training set implies, and when its network found the structure."""
    table = addition(SYMBOLS)
    published = pd.read_csv(ROOT / "tests/reference/figure4b.csv").merge(
        pd.read_csv(ROOT / "tests/reference/figure3.csv"), on=["train_num", "seed"]
    )
    rows = []
    for run in published.to_dict("records"):
        prediction = predict(table, published_split(run["train_num"], run["seed"]))
        measured = run["steps_to_rqi_0.95"]
        rows.append(
            {
                "train_num": run["train_num"],
                "seed": run["seed"],
                "n0": prediction.n0,
                "lambda_3": prediction.lambda_3,
                "predicted_steps": prediction.steps(LEARNING_RATE),
                "measured_steps": np.inf if measured == NEVER else measured,
                "implied": prediction.unique,
                "found": measured != NEVER,
                "ideal_accuracy": prediction.ideal_accuracy,
                "predicted_accuracy": run["predicted_accuracy"],
            }
        )
    frame = pd.DataFrame(rows)
    frame["agree"] = frame.implied == frame.found
    return frame


def rank_correlation(frame: pd.DataFrame) -> float:
    """Spearman's rank correlation of measured with predicted steps; never ranks last."""
    return float(frame.measured_steps.rank().corr(frame.predicted_steps.rank()))


def verdicts(frame: pd.DataFrame) -> list[str]:
    """What the comparison comes to."""
    found, implied = frame[frame.found], frame[frame.implied]
    full_batch = found[found.train_num <= 45]
    shares = found.measured_steps / found.predicted_steps
    return [
        f"implied and found agree in {frame.agree.sum()} of {len(frame)} runs",
        f"found without being implied: {(frame.found & ~frame.implied).sum()} of {len(found)}",
        f"implied and not found: {(frame.implied & ~frame.found).sum()} of {len(implied)}",
        f"rank correlation of measured and predicted steps: {rank_correlation(frame):.2f} over all {len(frame)} runs, "
        f"{rank_correlation(implied):.2f} over the {len(implied)} implied ones, {rank_correlation(found):.2f} over the "
        f"{len(found)} found ones, {rank_correlation(full_batch):.2f} over the {len(full_batch)} of these trained on "
        "full batches",
        f"measured over predicted steps: median {shares.median():.3f}, from {shares.min():.3f} to {shares.max():.3f}",
    ]


def figure_5b(frame: pd.DataFrame, trials: int = 1000) -> Figure:
    """Predicted steps against the training fraction, with the measured ones (figure 5 (b) of the paper)."""
    table = addition(SYMBOLS)
    sizes = list(range(5, len(table) + 1))
    curve = rate_quantiles(table, sizes, sample_rates(table, sizes, trials), LEARNING_RATE)
    figure = predicted_steps(curve, critical_fraction_of(table, 4 * trials).r_c, "a + b, p = 10", LEARNING_RATE)
    axes = figure.axes[0]
    found = frame[frame.found]
    axes.plot(found.train_num / len(table), found.measured_steps, "o", color="black", label="measured, RQI > 0.95")
    missed = frame[~frame.found]
    axes.plot(
        missed.train_num / len(table),
        np.full(len(missed), NEVER + 1),
        "x",
        color="black",
        label="not within 10000 steps",
    )
    axes.set_xlim(0.05, 1.02)
    axes.set_ylim(bottom=400)
    axes.set_ylabel("steps")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    figure.set_size_inches(8, 4)
    return figure


def other_weights(frame: pd.DataFrame, number: int, decoder_lr: float, steps: int, jobs: int) -> pd.DataFrame:
    """Train on the published splits near and above the threshold from other initial weights; count which find it."""
    sys.path.insert(0, str(Path(__file__).parent))
    from check_published import Run, figure_3_run, fit_all  # its runs are kept, and not repeated

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
    found = [summary["steps_to_rqi"] is not None for summary in fit_all(runs, jobs)]
    result = chosen[["train_num", "seed", "n0", "lambda_3", "found"]].reset_index(drop=True)
    result["found_from_other_weights"] = np.array(found).reshape(-1, number).sum(1)
    return result


def show(title: str, frame: pd.DataFrame) -> None:
    table = Table(title=title, title_justify="left")
    for column in frame.columns:
        table.add_column(str(column).replace("_", " "))
    for row in frame.itertuples(index=False):
        table.add_row(*(_word(value) for value in row))
    Console(width=140).print(table)


def _word(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "never" if np.isinf(value) else f"{value:.0f}" if value >= 2 else f"{value:.3f}"
    return str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=int, default=0, help="initial weights to train each implied split from")
    parser.add_argument("--decoder_lr", type=float, default=1e-4, help="the decoder's learning rate in these runs")
    parser.add_argument("--steps", type=int, default=6000, help="and their steps")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    arguments = parser.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    frame = compare()
    frame.to_csv(RUNS / "figure4b.csv", index=False)
    show("figure 4b: what the training set implies, and what the network found", frame)
    print("\n".join(verdicts(frame)))
    figure_5b(frame).savefig(RUNS / "figure5b.png", dpi=150)
    print(f"table and figure in {RUNS}")
    if arguments.weights:
        trained = other_weights(frame, arguments.weights, arguments.decoder_lr, arguments.steps, arguments.jobs)
        trained.to_csv(RUNS / f"other_weights_lr_{arguments.decoder_lr:g}.csv", index=False)
        show(f"the splits of 20 to 45 samples, each from {arguments.weights} other initial weights", trained)


if __name__ == "__main__":
    main()
