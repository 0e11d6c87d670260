"""Figure 7 of the paper: effective dimension during training, dropout, and the phase diagram of the transformer.

python scripts/figure7.py --quick     p = 23, width 32: three seeds, four rates of dropout, six cells of 600 steps
python scripts/figure7.py --coarse    the published settings: one seed, four rates, 15 cells; an hour each on two cores
python scripts/figure7.py             the published settings: 100 seeds, ten rates, 285 cells; for a GPU

The seed of --coarse is the run of figure1.py.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from figure_run import FigureRun, make, metrics_of, phase_counts, seeds_of, summary_of, transformer_run
from matplotlib.figure import Figure

from grokking_pl.plots.captions import letter
from grokking_pl.plots.diagram import draw_phase_legend, draw_phases
from grokking_pl.plots.seeds import draw_over_seeds, draw_steps_by, steps_by

THRESHOLD = 0.99
QUICK_SEEDS = range(3)
QUICK_CONFIG = "transformer_modular_addition_small.yaml"
QUICK_OPTIONS = ("--data.task.p=23", "--model.architecture.width=32", "--trainer.max_steps=3000")
QUICK_RATES = {f"transformer_small_dropout_{rate}": rate for rate in (0.1, 0.2, 0.4)}
UNTIL_DECIDED = (
    "--trainer.callbacks=PhaseTracker",
    "--trainer.callbacks.every_n_steps=50",
    f"--trainer.callbacks.train_threshold={THRESHOLD}",
    f"--trainer.callbacks.val_threshold={THRESHOLD}",
    "--trainer.callbacks.stop_when_decided=true",
)
NAMES = {"model.decoder.weight_decay": "decoder weight decay", "model.decoder.lr": "decoder learning rate"}


def draw(run: FigureRun) -> None:
    """Effective dimension over steps; steps to both thresholds against dropout; phases over decay and learning rate."""
    runs = quick_runs if run.quick else coarse_runs if run.coarse else published_runs
    curves, seeds, dropout = runs(run)
    phases = run.diagram("figure7_right" + "_small" * run.quick + "_coarse" * run.coarse)
    memorised, generalised = (float(seeds[name].fillna(np.inf).median()) for name in ("steps_to_train", "steps_to_val"))
    figure = Figure(figsize=(14.5, 4.4), layout="constrained")
    left, centre, right = figure.subplots(1, 3)
    marks = {
        f"training passes {THRESHOLD} (median)": memorised,
        f"validation passes {THRESHOLD} (median)": generalised,
    }
    draw_over_seeds(left, curves, "effective_dimension", marks)
    left.set_ylabel("effective dimension of the embeddings")
    draw_steps_by(centre, dropout, "dropout", "dropout", THRESHOLD)
    draw_phases(right, phases, tuple(NAMES), NAMES)
    draw_phase_legend(right, loc="center left", bbox_to_anchor=(1, 0.5))
    for panel, mark in zip((left, centre, right), ("left", "centre", "right"), strict=True):
        letter(panel, mark)
    tables = {"left": curves, "left_seeds": seeds, "centre": dropout, "right": phases}
    run.save(figure, caption(tables, memorised, generalised, run), tables)


def published_runs(run: FigureRun) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Left: the effective dimension of every seed over steps, and when it passed; centre: the runs with dropout."""
    seeds = run.diagram("figure7_left_seeds")
    curves = run.curves("figure7_left_seeds")[["seed", "step", "effective_dimension"]].dropna()
    return curves, seeds, run.diagram("figure7_centre")


def coarse_runs(run: FigureRun) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The same of a single seed."""
    folder = transformer_run(run)
    summary = summary_of(folder)
    seeds = pd.DataFrame([{name: summary[name] for name in ("seed", "steps_to_train", "steps_to_val", "phase")}])
    curves = metrics_of(folder, "effective_dimension").assign(seed=summary["seed"])
    return curves, seeds.astype({"steps_to_train": float, "steps_to_val": float}), run.diagram("figure7_centre_coarse")


def quick_runs(run: FigureRun) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The same of small networks; so few train faster one by one than as a batch."""
    names = {f"transformer_small_seed_{seed}": seed for seed in QUICK_SEEDS}
    runs: dict[str, tuple[str, tuple[str, ...]]] = {
        name: (QUICK_CONFIG, (*QUICK_OPTIONS, f"--seed_everything={seed}")) for name, seed in names.items()
    }
    for name, rate in QUICK_RATES.items():
        runs[name] = (QUICK_CONFIG, (*QUICK_OPTIONS, f"--model.architecture.dropout={rate}", *UNTIL_DECIDED))
    folders = run.fit(runs)
    curves = pd.concat(
        metrics_of(folders[name], "effective_dimension").assign(seed=seed) for name, seed in names.items()
    )
    without = pd.DataFrame(
        [{"seed": seed, "dropout": 0.0, **steps_to_pass(folders[name])} for name, seed in names.items()]
    )
    columns = ("seed", "steps_to_train", "steps_to_val", "phase")
    dropout = pd.DataFrame(
        [
            {"dropout": rate} | {column: summary_of(folders[name])[column] for column in columns}
            for name, rate in QUICK_RATES.items()
        ]
    )
    both = pd.concat([without, dropout.astype({"steps_to_train": float, "steps_to_val": float})], ignore_index=True)
    return curves, without, both


def steps_to_pass(folder: Path) -> dict[str, float]:
    """The first evaluated steps at which the accuracies of a run pass; not a number for never."""
    metrics = metrics_of(folder, "train_accuracy", "val_accuracy")
    passed = {name: metrics.step[metrics[f"{name}_accuracy"] >= THRESHOLD] for name in ("train", "val")}
    return {f"steps_to_{name}": float(steps.iloc[0]) if len(steps) else np.nan for name, steps in passed.items()}


def caption(tables: dict[str, pd.DataFrame], memorised: float, generalised: float, run: FigureRun) -> str:
    """What the figure shows, with its numbers."""
    curves, dropout = tables["left"], tables["centre"]
    number = curves.seed.nunique()
    seeds = f"{number} seeds" if number > 1 else seeds_of(curves)
    mean = curves.pivot(index="step", columns="seed", values="effective_dimension").dropna().mean(axis=1)
    highest = int(mean.index.to_numpy()[mean.to_numpy().argmax()])
    rates = "; ".join(
        f"{rate:.2g}: {in_words(medians.steps_to_train)}, {in_words(medians.steps_to_val)}, "
        f"{in_words(medians.difference)}"
        for rate, medians in steps_by(dropout, "dropout").iterrows()
    )
    setting = (
        "p = 23, width 32, embeddings decay as the decoder does; right 600 steps, grokking from a delay of 100 on"
        if run.quick
        else "the authors' settings, p = 59 left, 53 centre and right"
    )
    if run.coarse:
        setting += "; with fewer seeds, rates and cells, and at most 5000 (centre) and 1600 steps (right)"
    return f"""
    Figure 7. Left: evolution of the effective dimension of the embeddings (the exponential of the entropy) during
    training, {seeds}; mean {mean.iloc[0]:.1f} at the start, {mean.max():.1f} at its highest (step
    {highest}), {mean.iloc[-1]:.1f} at step {mean.index[-1]}. Half of the seeds have passed a training accuracy of
    {THRESHOLD} at step {in_words(memorised)}, a validation accuracy of {THRESHOLD} at step {in_words(generalised)}.
    Centre: effect of dropout on the steps to {THRESHOLD} on the training set, on the validation set, and their
    difference, medians over {seeds_of(dropout)}; {rates}. Right: phase diagram of the transformer over weight decay and
    learning rate of the decoder, at an embedding learning rate of 1e-3; cells: {phase_counts(tables["right"])}. In all:
    {setting}.
    """


def in_words(steps: float) -> str:
    """A number of steps that may be infinite."""
    return f"{steps:.0f}" if np.isfinite(steps) else "never"


if __name__ == "__main__":
    make(draw, __doc__, has_coarse=True)
