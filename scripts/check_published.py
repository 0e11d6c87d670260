"""Compare `grok fit`, run by run, with the numbers that the paper's authors published.

    python scripts/check_published.py figure5        cells of figures 5a and 5b: phases and steps
    python scripts/check_published.py figure3        all 33 runs of figures 3 and 4b: accuracies and RQI steps
    python scripts/check_published.py                both

Each run is a `grok fit` in a folder of its own under runs/published; finished ones are not run again. Prints a table
with a verdict, and leaves it as CSV beside the runs, with the scatter of figure 3c.
"""

import argparse
import contextlib
import io
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from grokking_pl.commands.main import main as grok
from grokking_pl.metrics import classify

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests/reference"
RUNS = ROOT / "runs/published"
DELAY = 1000
MODERATE_RATE = 1e-3  # above it the published runs are chaotic

# Every third cell of each grid, which meets all four phases and both ends of each axis.
FIGURE_5_STRIDE = 7


@dataclass(frozen=True)
class Run:
    """One `grok fit`: the name of its folder and what it overrides in configs/toy_addition.yaml."""

    name: str
    options: tuple[str, ...]


def fit(run: Run) -> dict[str, Any]:
    """Run `grok fit`, unless it has run, and return its summary."""
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
    """Run several at a time, in processes of their own."""
    if jobs == 1:
        return [fit(run) for run in runs]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(pool.map(fit, runs))


def figure_5_cells(name: str) -> pd.DataFrame:
    """A spread of the published cells of figure 5a or 5b."""
    cells = pd.read_csv(REFERENCE / f"{name}.csv")
    return cells.iloc[3::FIGURE_5_STRIDE].reset_index(drop=True)


def figure_5_run(name: str, cell: pd.Series) -> Run:
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
            "--trainer.callbacks.budget=10000",
            "--trainer.callbacks.stop_when_decided=true",
        ),
    )


def check_figure_5(name: str, jobs: int, cells: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compare phase and steps of a spread of cells with the published ones.

    Published steps count from 0: the training accuracy is taken after the update of a step, the validation accuracy
    before it, and a threshold never reached is written as the last step. Ours count the updates made.
    """
    cells = figure_5_cells(name) if cells is None else cells
    runs = [figure_5_run(name, cell) for _, cell in cells.iterrows()]
    rows = []
    for (_, cell), run, summary in zip(cells.iterrows(), runs, fit_all(runs, jobs), strict=True):
        published = [int(cell[f"steps_to_{which}_acc_0.9"]) for which in ("train", "val")]
        known = [None if step == 9999 else step for step in published]
        train, val = summary["steps_to_train"], summary["steps_to_val"]
        ours = [None if train is None else train - 1, val]
        rows.append(
            {
                "run": run.name,
                "phase": summary["phase"],
                "published_phase": str(classify(known[0], known[1], DELAY)),
                "steps_to_train": ours[0],
                "published_steps_to_train": known[0],
                "steps_to_val": ours[1],
                "published_steps_to_val": known[1],
                "moderate": max(cell.get("embedding_lr", 1e-3), cell.decoder_lr) <= MODERATE_RATE * 1.0001,
                "steps_agree": all(_close(a, b, 0.05, 3) for a, b in zip(ours, known, strict=True)),
            }
        )
    return pd.DataFrame(rows)


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
    keys = ["train_num", "seed"]
    published = pd.read_csv(REFERENCE / "figure3.csv").merge(pd.read_csv(REFERENCE / "figure4b.csv"), on=keys)[rows]
    runs = [figure_3_run(int(row.train_num), int(row.seed)) for _, row in published.iterrows()]
    results = []
    for (_, row), run, summary in zip(published.iterrows(), runs, fit_all(runs, jobs), strict=True):
        train_num = int(row.train_num)
        watched = torch.load(RUNS / run.name / "checkpoints/last.ckpt", weights_only=True)["callbacks"]
        _, train_accuracy, val_accuracy, _, _ = _at_step(watched["PhaseTracker"]["history"], 5000)
        _, _, predicted_accuracy = _at_step(watched["RepresentationQuality"]["history"], 5000)
        accuracy = (train_accuracy * train_num + val_accuracy * (55 - train_num)) / 55
        step, known = summary["steps_to_rqi"], int(row["steps_to_rqi_0.95"])
        results.append(
            {
                "train_num": train_num,
                "seed": int(row.seed),
                "accuracy": accuracy,
                "published_accuracy": row.accuracy,
                "predicted_accuracy": predicted_accuracy,
                "published_predicted_accuracy": row.predicted_accuracy,
                "steps_to_rqi": None if step is None else step - 1,
                "published_steps_to_rqi": None if known == 9999 else known,
                "accuracies_off_by": round(
                    55
                    * max(
                        abs(accuracy - row.accuracy),
                        abs(predicted_accuracy - row.predicted_accuracy),
                    )
                ),
                "rqi_step_agrees": _close(
                    None if step is None else step - 1, None if known == 9999 else known, 0.02, 0
                ),
            }
        )
    return pd.DataFrame(results)


def _at_step(history: torch.Tensor, step: int) -> list[float]:
    return history[history[:, 0] == step][0].tolist()


def _close(ours: int | None, published: int | None, relative: float, absolute: int) -> bool:
    if ours is None or published is None:
        return ours is published
    return abs(ours - published) <= max(absolute, relative * published)


def show(title: str, frame: pd.DataFrame, verdict: str) -> None:
    """Print a table and what it comes to."""
    table = Table(title=title)
    for column in frame.columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*("" if pd.isna(v) else f"{v:.4g}" if isinstance(v, float) else str(v) for v in row))
    console = Console(width=180)
    console.print(table)
    console.print(f"[bold]{verdict}[/bold]\n")


def main() -> None:
    """Run the comparisons asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", choices=["figure3", "figure5", []], help="which to compare; default both")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    arguments = parser.parse_args()
    figures = arguments.figures or ["figure5", "figure3"]
    RUNS.mkdir(parents=True, exist_ok=True)
    if "figure5" in figures:
        frame = pd.concat([check_figure_5(name, arguments.jobs) for name in ("figure5a", "figure5b")])
        frame.to_csv(RUNS / "figure5.csv", index=False)
        labels = (frame.phase == frame.published_phase).sum()
        moderate = frame[frame.moderate]
        verdict = (
            f"phases equal in {labels} of {len(frame)} runs; steps within 5 % or 3 steps in "
            f"{moderate.steps_agree.sum()} of {len(moderate)} with both rates <= {MODERATE_RATE:g}"
        )
        show("figures 5a and 5b", frame, verdict)
    if "figure3" in figures:
        frame = check_figure_3(arguments.jobs)
        frame.to_csv(RUNS / "figure3.csv", index=False)
        verdict = (
            f"both accuracies equal in {(frame.accuracies_off_by == 0).sum()} of {len(frame)} runs, off by one "
            f"sample in {(frame.accuracies_off_by == 1).sum()}; RQI step within 2 % in {frame.rqi_step_agrees.sum()}"
        )
        show("figures 3 and 4b", frame, verdict)
        from grokking_pl.plots.accuracy_scatter import accuracy_scatter

        figure = accuracy_scatter(
            *(column.to_numpy() for column in (frame.predicted_accuracy, frame.accuracy, frame.train_num / 55))
        )
        figure.savefig(RUNS / "figure3c.png", dpi=150)
        print(f"scatter in {RUNS / 'figure3c.png'}")


if __name__ == "__main__":
    main()
