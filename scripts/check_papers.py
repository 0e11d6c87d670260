"""Compare runs in the settings of later papers with the published results.

    python scripts/check_papers.py                     all that published a number or a fact to judge by; the three
                                                       of grokfast take many minutes
    python scripts/check_papers.py grokfast_ema        some of them
    python scripts/check_papers.py --keep              all, and keep the table in docs/results, which the pages show

Each is a `grok fit` in its own folder under runs/papers; stopped runs are resumed, and finished ones are not run again.
Prints a table and writes it as CSV beside the runs.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from figure_run import RESULTS, first_step, provenance
from published import ROOT
from tables import print_table

from grokking_pl.runs import RunFolder

RUNS = ROOT / "runs/papers"


@dataclass(frozen=True)
class Claim:
    """A published result, and how to judge a run by it.

    Args:
        published: the result in words.
        agrees: whether a run agrees, from its metrics: columns step, and loss and accuracy on both sets.
        config: configuration in configs/; by default that of the claim's name in configs/papers/.
        options: further command line options.
    """

    published: str
    agrees: Callable[[pd.DataFrame], bool]
    config: str | None = None
    options: tuple[str, ...] = ()


def memorises(metrics: pd.DataFrame) -> bool:
    """Whether training accuracy ends perfect and validation accuracy low."""
    return bool(metrics.train_accuracy.iloc[-1] > 0.99 and metrics.val_accuracy.iloc[-1] < 0.5)


def nanda(fraction: float, published: int) -> Claim:
    """A point of Nanda's sweep over the training fraction: the first step with validation loss below 0.1."""

    def agrees(metrics: pd.DataFrame) -> bool:
        passed = metrics.step[metrics.val_loss < 0.1]
        return bool(len(passed) and published / 1.5 <= passed.iloc[0] <= published * 1.5)

    every = max(1, published // 50)
    options = (
        f"--data.train_fraction={fraction}", f"--trainer.max_steps={published * 8 // 5}",
        "--trainer.callbacks=PhaseTracker", f"--trainer.callbacks.every_n_steps={every}",
        f"--trainer.log_every_n_steps={every}",
    )  # fmt: skip
    return Claim(f"validation loss 0.1 at step {published}", agrees, "nanda_modular_addition.yaml", options)


CLAIMS = {
    "gromov_analytic": Claim("validation accuracy 1 at step 0", lambda m: m.val_accuracy.iloc[0] == 1),
    "gromov_trained_small": Claim("trained to validation accuracy 1", lambda m: m.val_accuracy.iloc[-1] > 0.99),
    "nanda_fraction_0.95": nanda(0.95, 157),
    "nanda_fraction_0.8": nanda(0.8, 252),
    "nanda_fraction_0.5": nanda(0.5, 956),
    "numerical_stability_softmax": Claim("perfect training, low validation", memorises),
    "numerical_stability_stablemax": Claim("generalises without decay", lambda m: m.val_accuracy.max() > 0.95),
    "numerical_stability_orthogonal": Claim("validation 0.95 within 1000 steps", lambda m: first_step(m, 0.95) <= 1000),
    "omnigrok_held_norm": Claim(
        "no delay between training and validation accuracy 0.8",
        lambda m: first_step(m, 0.8) - first_step(m, 0.8, "train_accuracy") < 1000,
    ),
    "grokfast_ema": Claim("validation 0.95 at step 910", lambda m: first_step(m, 0.95) <= 2000),
    "grokfast_window": Claim("validation 0.95 at step 790", lambda m: first_step(m, 0.95) <= 2000),
    "grokfast_control": Claim("validation 0.95 at step 39890", lambda m: first_step(m, 0.95) > 10000),
}


def fit(name: str) -> RunFolder:
    """Run `grok fit`, unless finished."""
    folder = RunFolder(RUNS / name)
    if folder.read_summary().get("status") != "finished":
        claim = CLAIMS[name]
        config = ROOT / "configs" / (claim.config or f"papers/{name}.yaml")
        command = [sys.executable, "-m", "grokking_pl", "fit", f"--config={config}", *claim.options]
        options = [f"--run_dir={folder.path}", "--ckpt_path=auto", "--trainer.enable_progress_bar=false"]
        subprocess.run([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return folder


def row_of(name: str) -> dict[str, Any]:
    """Published and own result of one setting."""
    folder = fit(name)
    columns = ["step", "train_accuracy", "val_accuracy", "train_loss", "val_loss"]
    metrics = pd.read_csv(folder.metrics)[columns].dropna()
    summary = folder.read_summary()
    low_loss = metrics.step[metrics.val_loss < 0.1]
    return {
        "setting": name,
        "published": CLAIMS[name].published,
        "validation_0.95_at_step": first_step(metrics, 0.95),
        "validation_loss_0.1_at_step": float(low_loss.iloc[0]) if len(low_loss) else float("inf"),
        "train_accuracy": metrics.train_accuracy.iloc[-1],
        "val_accuracy": metrics.val_accuracy.iloc[-1],
        "steps": int(metrics.step.iloc[-1]),
        "seed": summary["seed"],
        "agrees": CLAIMS[name].agrees(metrics),
    }


def main() -> None:
    """Run the requested settings, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(CLAIMS)}; default all")
    parser.add_argument("--keep", action="store_true", help="also in docs/results, which the documentation shows")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in CLAIMS]
    if unknown:
        parser.error(f"unknown setting {', '.join(unknown)}: choose from {', '.join(CLAIMS)}")
    if chosen.names and chosen.keep:
        parser.error("--keep keeps the table of all settings: omit the names")
    table = pd.DataFrame([row_of(name) for name in chosen.names or CLAIMS])
    print_table("Later papers", table)
    table.to_csv(RUNS / "papers.csv", index=False)
    if chosen.keep:
        folder = RESULTS / "papers"
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / "papers.csv", index=False)
        (folder / "made_by.md").write_text(f"{provenance()}\n")


if __name__ == "__main__":
    main()
