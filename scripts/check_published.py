"""Compare `grok fit`, run by run, with the numbers that the paper's authors published.

    python scripts/check_published.py figure6        cells of figures 6a and 6b: phases and steps
    python scripts/check_published.py figure3        all 33 runs of figures 3 and 4b: accuracies and RQI steps
    python scripts/check_published.py                both

Each run is a `grok fit` in its own folder under runs/published; finished ones are not run again. Prints a table and a
summary, and writes the table as CSV beside the runs, with the scatter plot of figure 3c.
"""

import argparse
import contextlib
import io
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import pandas as pd
import torch
from published import GRIDS, MODERATE_RATE, ROOT, SAMPLES, STEPS, close, grid, moderate, phase_of, training_fractions
from tables import print_table

from grokking_pl.commands.main import main as grok

RUNS = ROOT / "runs/published"
FIGURE_6_STRIDE = 7
"""Every seventh cell of a grid is compared, which includes all four phases and both ends of each axis."""
FIGURE_3_STEP = 5000
"""Step of the accuracies of figure 3."""


@dataclass(frozen=True)
class Run:
    """One `grok fit`: the name of its folder, and its overrides of configs/toy_addition.yaml."""

    name: str
    options: tuple[str, ...]


def fit(run: Run) -> dict[str, Any]:
    """Run `grok fit`, unless finished, and return its summary."""
    folder = RUNS / run.name
    summary = folder / "summary.json"
    if not summary.exists() or json.loads(summary.read_text())["status"] != "finished":
        torch.set_num_threads(1)
        resume = ["--ckpt_path", "last"] if (folder / "checkpoints/last.ckpt").exists() else []
        errors = io.StringIO()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
                grok(["fit", "--config", str(ROOT / "configs/toy_addition.yaml"), "--run_dir", str(folder),
                      "--trainer.enable_progress_bar=false", *run.options, *resume])  # fmt: skip
        except SystemExit:
            raise RuntimeError(f"{run.name}: {errors.getvalue()}") from None
    outcome: dict[str, Any] = json.loads(summary.read_text())
    return outcome


def fit_all(runs: list[Run], jobs: int) -> list[dict[str, Any]]:
    """Run several at a time, in their own processes."""
    if jobs == 1:
        return [fit(run) for run in runs]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(pool.map(fit, runs))


def figure_6_cells(name: str) -> pd.DataFrame:
    """A spread of the published cells of figure 6a or 6b."""
    return grid(name).iloc[3::FIGURE_6_STRIDE].reset_index(drop=True)


def figure_6_run(name: str, cell: pd.Series) -> Run:
    """The run of one published cell."""
    embedding_lr = float(cell.get("embedding_lr", 1e-3))
    weight_decay = cell.get("decoder_weight_decay", 0.0)
    return Run(
        f"{name}/lr_{embedding_lr:.3g}_{cell.decoder_lr:.3g}_decay_{weight_decay:g}",
        (
            "--seed_everything=58",
            f"--model.embeddings.lr={embedding_lr!r}",
            f"--model.decoder.lr={float(cell.decoder_lr)!r}",
            f"--model.decoder.weight_decay={float(weight_decay)!r}",
            "--trainer.logger=false",
            "--trainer.callbacks=PhaseTracker",
            "--trainer.callbacks.every_n_steps=1",
            f"--trainer.callbacks.budget={STEPS}",
            "--trainer.callbacks.stop_when_decided=true",
        ),
    )


def check_figure_6(name: str, jobs: int, cells: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compare phase and steps of a spread of cells with the published ones, with steps counted as published."""
    cells = figure_6_cells(name) if cells is None else cells
    runs = [figure_6_run(name, cell) for _, cell in cells.iterrows()]
    ours = pd.DataFrame(fit_all(runs, jobs)).astype({"steps_to_train": float, "steps_to_val": float})
    ours["steps_to_train"] -= 1
    published = list(zip(cells.published_train, cells.published_val, strict=True))
    return pd.DataFrame(
        {
            "run": [run.name for run in runs],
            "phase": ours.phase,
            "published_phase": [phase_of(train, val) for train, val in published],
            "steps_to_train": ours.steps_to_train,
            "published_steps_to_train": cells.published_train,
            "steps_to_val": ours.steps_to_val,
            "published_steps_to_val": cells.published_val,
            "moderate": moderate(cells),
            "steps_agree": close(ours.steps_to_train, cells.published_train, 0.05, 3)
            & close(ours.steps_to_val, cells.published_val, 0.05, 3),
        }
    )


def figure_3_run(train_num: int, seed: int) -> Run:
    """The run behind one point of figure 3 (at step 5000) and of figure 4b (10000 steps)."""
    return Run(
        f"figure3/train_{train_num}_seed_{seed}",
        (
            f"--seed_everything={seed}",
            f"--data.train_count={train_num}",
            "--trainer.logger=false",
            "--trainer.callbacks=PhaseTracker",
            "--trainer.callbacks.every_n_steps=1000",
            "--trainer.callbacks+=RepresentationQuality",
            "--trainer.callbacks.every_n_steps=1",
        ),
    )


def check_figure_3(jobs: int, rows: slice = slice(None)) -> pd.DataFrame:
    """Compare accuracies at step 5000 and the first step with RQI > 0.95 with the published ones."""
    published = training_fractions()[rows].reset_index(drop=True)
    runs = [figure_3_run(*pair) for pair in zip(published.train_num, published.seed, strict=True)]
    steps_to_rqi = pd.Series([summary["steps_to_rqi"] for summary in fit_all(runs, jobs)], dtype=float) - 1
    accuracies = [accuracies_at(run, n, FIGURE_3_STEP) for run, n in zip(runs, published.train_num, strict=True)]
    ours = pd.DataFrame(accuracies, columns=["accuracy", "predicted_accuracy"])
    off = (ours - published[["accuracy", "predicted_accuracy"]]).abs().max(axis=1)
    return pd.DataFrame(
        {
            "train_num": published.train_num,
            "seed": published.seed,
            "accuracy": ours.accuracy,
            "published_accuracy": published.accuracy,
            "predicted_accuracy": ours.predicted_accuracy,
            "published_predicted_accuracy": published.predicted_accuracy,
            "steps_to_rqi": steps_to_rqi,
            "published_steps_to_rqi": published.steps_to_rqi,
            "accuracies_off_by": (SAMPLES * off).round().astype(int),
            "rqi_step_agrees": close(steps_to_rqi, published.steps_to_rqi, 0.02),
        }
    )


def accuracies_at(run: Run, train_num: int, step: int) -> tuple[float, float]:
    """Accuracy and predicted accuracy of a run on all samples at a step."""
    callbacks = torch.load(RUNS / run.name / "checkpoints/last.ckpt", weights_only=True)["callbacks"]
    phases, qualities = (callbacks[name]["history"] for name in ("PhaseTracker", "RepresentationQuality"))
    _, train, val, _, _ = phases[phases[:, 0] == step][0].tolist()
    _, _, predicted_accuracy = qualities[qualities[:, 0] == step][0].tolist()
    return (train * train_num + val * (SAMPLES - train_num)) / SAMPLES, predicted_accuracy


def main() -> None:
    """Run the requested comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", choices=["figure3", "figure6", []], help="which to compare; default both")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    arguments = parser.parse_args()
    figures = arguments.figures or ["figure6", "figure3"]
    RUNS.mkdir(parents=True, exist_ok=True)
    if "figure6" in figures:
        frame = pd.concat([check_figure_6(name, arguments.jobs) for name in GRIDS])
        frame.to_csv(RUNS / "figure6.csv", index=False)
        equal = (frame.phase == frame.published_phase).sum()
        at_moderate_rates = frame[frame.moderate]
        print_table("figures 6a and 6b", frame, width=180)
        print(
            f"phases equal in {equal} of {len(frame)} runs; steps within 5 % or 3 steps in "
            f"{at_moderate_rates.steps_agree.sum()} of {len(at_moderate_rates)} with both rates <= {MODERATE_RATE:g}\n"
        )
    if "figure3" in figures:
        frame = check_figure_3(arguments.jobs)
        frame.to_csv(RUNS / "figure3.csv", index=False)
        print_table("figures 3 and 4b", frame, width=180)
        print(
            f"both accuracies equal in {(frame.accuracies_off_by == 0).sum()} of {len(frame)} runs, off by one "
            f"sample in {(frame.accuracies_off_by == 1).sum()}; RQI step within 2 % in {frame.rqi_step_agrees.sum()}"
        )
        from grokking_pl.plots.accuracy_scatter import accuracy_scatter

        figure = accuracy_scatter(
            *(column.to_numpy() for column in (frame.predicted_accuracy, frame.accuracy, frame.train_num / SAMPLES))
        )
        figure.savefig(RUNS / "figure3c.png", dpi=150)
        print(f"scatter in {RUNS / 'figure3c.png'}")


if __name__ == "__main__":
    main()
