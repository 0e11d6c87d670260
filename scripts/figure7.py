"""Figure 7 of the paper: effective dimension during training, dropout, and the phase diagram of the transformer.

python scripts/figure7.py --quick     p = 23, width 32: three seeds, four rates of dropout, six cells of 600 steps
python scripts/figure7.py --coarse    the published settings: one seed, four rates, 15 cells; an hour each on two cores
python scripts/figure7.py             the published settings: 100 seeds, ten rates, 285 cells; for a GPU
python scripts/figure7.py --coarse --panels left   some of the panels

The seed of --coarse is the run of figure1.py. With --keep, panels that are not made are drawn from the tables that
docs/results has of them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from figure_run import FigureRun, first_step, make, metrics_of, phase_counts, seeds_of, summary_of, transformer_run
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
PANELS = ("left", "centre", "right")
COARSE = {"left": "one of 100 seeds", "centre": "fewer rates, at most 5000 steps", "right": "fewer cells, 1600 steps"}
NAMES = {"model.decoder.weight_decay": "decoder weight decay", "model.decoder.lr": "decoder learning rate"}


def draw(run: FigureRun) -> None:
    """Effective dimension over steps; steps to both thresholds against dropout; phases over decay and learning rate."""
    tables = {}
    if "left" in run.panels:
        tables["left"], tables["left_seeds"] = (quick_seeds if run.quick else one_seed if run.coarse else all_seeds)(
            run
        )
    if "centre" in run.panels:
        tables["centre"] = quick_dropout(run) if run.quick else run.diagram("figure7_centre" + "_coarse" * run.coarse)
    if "right" in run.panels:
        tables["right"] = run.diagram("figure7_right" + "_small" * run.quick + "_coarse" * run.coarse)
    others = [panel for panel in PANELS if panel not in run.panels]
    tables |= run.kept_tables(name for panel in others for name in (panel, f"{panel}_seeds"))
    drawn = [panel for panel in PANELS if panel in tables]
    figure = Figure(figsize=(0.4 + 4.7 * len(drawn), 4.4), layout="constrained")
    panels = dict(zip(drawn, figure.subplots(1, len(drawn), squeeze=False)[0], strict=True))
    for name, panel in panels.items():
        letter(panel, name)
    if "left" in panels:
        middle = " (median)" if len(tables["left_seeds"]) > 1 else ""
        marks = {
            f"{name} passes {THRESHOLD}{middle}": median(tables["left_seeds"], column)
            for name, column in (("training", "steps_to_train"), ("validation", "steps_to_val"))
        }
        draw_over_seeds(panels["left"], tables["left"], "effective_dimension", marks)
        panels["left"].set_ylabel("effective dimension of the embeddings")
    if "centre" in panels:
        draw_steps_by(panels["centre"], tables["centre"], "dropout", "dropout", THRESHOLD)
    if "right" in panels:
        draw_phases(panels["right"], tables["right"], tuple(NAMES), NAMES)
        draw_phase_legend(panels["right"], loc="center left", bbox_to_anchor=(1, 0.5))
    run.save(figure, caption(tables, run), tables)


def all_seeds(run: FigureRun) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The effective dimension of every seed over steps, and when its accuracies passed."""
    seeds = run.diagram("figure7_left_seeds")
    return run.curves("figure7_left_seeds")[["seed", "step", "effective_dimension"]].dropna(), seeds


def one_seed(run: FigureRun) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same of a single seed."""
    folder = transformer_run(run)
    summary = summary_of(folder)
    seeds = pd.DataFrame([{name: summary[name] for name in ("seed", "steps_to_train", "steps_to_val", "phase")}])
    curves = metrics_of(folder, "effective_dimension").assign(seed=summary["seed"])
    return curves, seeds.astype({"steps_to_train": float, "steps_to_val": float})


def quick_seeds(run: FigureRun) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same of small networks; so few train faster one by one than as a batch."""
    names = {f"transformer_small_seed_{seed}": seed for seed in QUICK_SEEDS}
    folders = run.fit(
        {name: (QUICK_CONFIG, (*QUICK_OPTIONS, f"--seed_everything={seed}")) for name, seed in names.items()}
    )
    curves = [metrics_of(folders[name], "effective_dimension").assign(seed=seed) for name, seed in names.items()]
    seeds = [{"seed": seed, "dropout": 0.0, **steps_to_pass(folders[name])} for name, seed in names.items()]
    return pd.concat(curves), pd.DataFrame(seeds).replace(np.inf, np.nan)


def quick_dropout(run: FigureRun) -> pd.DataFrame:
    """Steps to both thresholds of small networks: without dropout those of the panel on the left."""
    folders = run.fit(
        {
            name: (QUICK_CONFIG, (*QUICK_OPTIONS, f"--model.architecture.dropout={rate}", *UNTIL_DECIDED))
            for name, rate in QUICK_RATES.items()
        }
    )
    columns = ("seed", "steps_to_train", "steps_to_val", "phase")
    dropout = pd.DataFrame(
        [
            {"dropout": rate} | {column: summary_of(folders[name])[column] for column in columns}
            for name, rate in QUICK_RATES.items()
        ]
    )
    dropout = dropout.astype({"steps_to_train": float, "steps_to_val": float})
    return pd.concat([quick_seeds(run)[1], dropout], ignore_index=True)


def steps_to_pass(folder: Path) -> dict[str, float]:
    """The first evaluated steps at which the accuracies of a run pass; infinite for never."""
    metrics = metrics_of(folder, "train_accuracy", "val_accuracy")
    return {f"steps_to_{name}": first_step(metrics, THRESHOLD, f"{name}_accuracy") for name in ("train", "val")}


def median(runs: pd.DataFrame, column: str) -> float:
    """The median number of steps, where never is longer than any."""
    return float(runs[column].astype(float).fillna(np.inf).median())


def caption(tables: dict[str, pd.DataFrame], run: FigureRun) -> str:
    """What the figure shows, with its numbers."""
    parts = ["Figure 7."]
    if "left" in tables:
        curves, seeds = tables["left"], tables["left_seeds"]
        number = curves.seed.nunique()
        which = f"{number} seeds" if number > 1 else seeds_of(curves)
        mean = curves.pivot(index="step", columns="seed", values="effective_dimension").dropna().mean(axis=1)
        highest = int(mean.index.to_numpy()[mean.to_numpy().argmax()])
        passed = {name: in_words(median(seeds, f"steps_to_{name}")) for name in ("train", "val")}
        parts.append(
            f"""Left: evolution of the effective dimension of the embeddings (the exponential of the entropy) during
            training, {which}; mean {mean.iloc[0]:.1f} at the start, {mean.max():.1f} at its highest (step {highest}),
            {mean.iloc[-1]:.1f} at step {mean.index[-1]}. {"Half of the seeds have" if number > 1 else "It has"} passed
            a training accuracy of {THRESHOLD} at step {passed["train"]}, a validation accuracy of {THRESHOLD} at step
            {passed["val"]}."""
        )
    if "centre" in tables:
        rates = "; ".join(
            f"{rate:.2g}: {in_words(medians.steps_to_train)}, {in_words(medians.steps_to_val)}, "
            f"{in_words(medians.difference)}"
            for rate, medians in steps_by(tables["centre"], "dropout").iterrows()
        )
        over = "medians over " if tables["centre"].seed.nunique() > 1 else ""
        parts.append(
            f"""Centre: effect of dropout on the steps to {THRESHOLD} on the training set, on the validation set, and
            their difference, {over}{seeds_of(tables["centre"])}; {rates}."""
        )
    if "right" in tables:
        parts.append(
            f"""Right: phase diagram of the transformer over weight decay and learning rate of the decoder, at an
            embedding learning rate of 1e-3; cells: {phase_counts(tables["right"])}."""
        )
    drawn = [panel for panel in PANELS if panel in tables]
    setting = "p = 23, width 32, embeddings decay as the decoder does" if run.quick else "the authors' settings"
    limits = {"right": "600 steps, grokking from a delay of 100 on"} if run.quick else COARSE if run.coarse else {}
    limited = "; ".join(f"{panel}: {limits[panel]}" for panel in drawn if panel in limits)
    return " ".join([*parts, f"In all: {setting}{f'; {limited}' if limited else ''}."])


def in_words(steps: float) -> str:
    """A number of steps that may be infinite."""
    return f"{steps:.0f}" if np.isfinite(steps) else "never"


if __name__ == "__main__":
    make(draw, __doc__, has_coarse=True, panels=PANELS)
