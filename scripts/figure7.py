"""Figure 7 of the paper: effective dimension during training, dropout, and the phase diagram of the transformer.

python scripts/figure7.py --quick    p = 23, width 32: three seeds, four rates of dropout, six cells of 600 steps
python scripts/figure7.py            p = 53, width 256: 100 seeds, ten rates, 110 cells; for a GPU
"""

from pathlib import Path

import numpy as np
import pandas as pd
from figure_run import FigureRun, make, metrics_of, phase_counts, seeds_of, summary_of
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokking_pl.plots.captions import letter
from grokking_pl.plots.curves import TRAIN_COLOUR, VAL_COLOUR
from grokking_pl.plots.diagram import draw_phase_legend, draw_phases
from grokking_pl.plots.theory import THEORY_COLOUR

SEEDS, QUICK_SEEDS = 100, 3
QUICK_OPTIONS = ("--data.task.p=23", "--model.architecture.width=32", "--trainer.max_steps=3000")
DROPOUT = "model.architecture.dropout"
QUICK_RATES = {f"transformer_small_dropout_{rate}": rate for rate in (0.1, 0.2, 0.4)}
UNTIL_DECIDED = (
    "--trainer.callbacks=PhaseTracker",
    "--trainer.callbacks.every_n_steps=50",
    "--trainer.callbacks.stop_when_decided=true",
)
NAMES = {"model.decoder.weight_decay": "decoder weight decay", "model.decoder.lr": "decoder learning rate"}


def draw(run: FigureRun) -> None:
    """Effective dimension over steps; steps to generalise against dropout; phases over decay and learning rate."""
    config = "transformer_modular_addition" + ("_small" if run.quick else "")
    seeds = range(QUICK_SEEDS if run.quick else SEEDS)
    options = QUICK_OPTIONS if run.quick else ()
    names = [f"transformer{'_small' * run.quick}_seed_{seed}" for seed in seeds]
    runs = {
        name: (f"{config}.yaml", (*options, f"--seed_everything={seed}"))
        for name, seed in zip(names, seeds, strict=True)
    }
    runs |= dropout_runs() if run.quick else {}
    folders = run.fit(runs)
    dropout = dropout_table(folders) if run.quick else run.diagram("figure7_centre")
    phases = run.diagram("figure7_right" + "_small" * run.quick)

    curves = pd.concat(
        metrics_of(folders[name], "effective_dimension").assign(seed=seed)
        for seed, name in zip(seeds, names, strict=True)
    )
    steps = [summary_of(folders[name])["steps_to_val"] for name in names]
    generalised = float(np.median([np.inf if step is None else step for step in steps]))
    figure = Figure(figsize=(14.5, 4.2), layout="constrained")
    left, centre, right = figure.subplots(1, 3)
    draw_dimensions(left, curves, generalised)
    draw_rates(centre, dropout)
    draw_phases(right, phases, tuple(NAMES), NAMES)
    draw_phase_legend(right, loc="center left", bbox_to_anchor=(1, 0.5))
    for panel, mark in zip((left, centre, right), ("left", "centre", "right"), strict=True):
        letter(panel, mark)
    tables = {"left": curves, "centre": dropout, "right": phases}
    run.save(figure, caption(curves, generalised, tables, run.quick), tables)


def dropout_runs() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Runs with dropout, each until it generalises; so few train faster one by one than as a batch."""
    config = "transformer_modular_addition_small.yaml"
    return {
        name: (config, (*QUICK_OPTIONS, f"--{DROPOUT}={rate}", *UNTIL_DECIDED)) for name, rate in QUICK_RATES.items()
    }


def dropout_table(folders: dict[str, Path]) -> pd.DataFrame:
    """Their outcomes, and that of the same seed without dropout."""
    rates = {"transformer_small_seed_1": 0.0, **QUICK_RATES}
    columns = ("seed", "steps_to_train", "steps_to_val", "phase")
    summaries = [summary_of(folders[name]) for name in rates]
    table = pd.DataFrame([{name: summary[name] for name in columns} for summary in summaries])
    table[DROPOUT] = list(rates.values())
    return table.astype({"steps_to_train": float, "steps_to_val": float})


def draw_dimensions(axes: Axes, curves: pd.DataFrame, generalised: float) -> None:
    """Effective dimension of each seed, their mean, and the median step of generalisation."""
    for _, curve in curves.groupby("seed"):
        axes.plot(curve.step, curve.effective_dimension, color="#aaaaaa", linewidth=0.8)
    mean = curves.groupby("step").effective_dimension.mean()
    axes.plot(mean.index, mean, color=THEORY_COLOUR, linewidth=2, label=f"mean of {curves.seed.nunique()} seeds")
    if np.isfinite(generalised):
        axes.axvline(generalised, color=VAL_COLOUR, linestyle="--", label="validation passes 0.9 (median)")
    axes.set(xlabel="training step", ylabel="effective dimension of the embeddings")
    axes.grid(alpha=0.2)
    axes.legend(loc="lower left", fontsize=8)


def draw_rates(axes: Axes, runs: pd.DataFrame) -> None:
    """Steps until both accuracies pass, against the rate of dropout; a run that never passed is not drawn."""
    for name, mark, colour, label in (
        ("train", "s--", TRAIN_COLOUR, "training"),
        ("val", "o-", VAL_COLOUR, "validation"),
    ):
        steps = runs[f"steps_to_{name}"]
        median = steps.fillna(np.inf).groupby(runs[DROPOUT]).median().replace(np.inf, np.nan)
        axes.plot(median.index, median, mark, color=colour, label=f"{label} passes 0.9 (median)")
        axes.plot(runs[DROPOUT], steps, mark[0], color=colour, markersize=3, alpha=0.5)
    axes.set(xlabel="dropout", ylabel="training step", yscale="log")
    axes.grid(alpha=0.2)
    axes.legend(fontsize=8)


def caption(curves: pd.DataFrame, generalised: float, tables: dict[str, pd.DataFrame], quick: bool) -> str:
    """What the figure shows, with its numbers."""
    mean, dropout = curves.groupby("step").effective_dimension.mean(), tables["centre"]
    highest = float(mean.index.to_numpy()[mean.to_numpy().argmax()])
    rates = ", ".join(
        f"{rate:g}: {'never' if np.isinf(step) else f'{step:.0f}'}"
        for rate, step in dropout.steps_to_val.fillna(np.inf).groupby(dropout[DROPOUT]).median().items()
    )
    when = f"generalises at step {generalised:.0f}" if np.isfinite(generalised) else "has not generalised by the end"
    early = " The fall begins long before that, and not with it as in the paper." if highest < generalised / 2 else ""
    setting = (
        "p = 23, width 32, embeddings decay as the decoder does, 600 steps, grokking from a delay of 100 steps on"
        if quick
        else "p = 53, width 256, no decay of the embeddings"
    )
    return f"""
    Figure 7. Left: evolution of the effective dimension of the embeddings (the exponential of the entropy) during
    training, {curves.seed.nunique()} seeds; mean {mean.iloc[0]:.1f} at the start, {mean.max():.1f} at its highest (step
    {highest:.0f}), {mean.iloc[-1]:.1f} at the end; the median seed {when}.{early} Centre: effect of dropout on
    the step at which validation passes 0.9, median, {seeds_of(dropout)}; {rates}. Right: phase diagram of the
    transformer over weight decay and learning rate of the decoder, at an embedding learning rate of 1e-3; {setting};
    cells: {phase_counts(tables["right"])}.
    """


if __name__ == "__main__":
    make(draw, __doc__)
