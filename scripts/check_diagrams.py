"""Compare whole phase diagrams of `grok diagram` with the grids that the paper's authors published.

    python scripts/check_diagrams.py              figures 5a and 5b, 210 runs
    python scripts/check_diagrams.py figure5a     one of them

Each diagram is a folder under runs/diagrams; one that is finished is not run again. Prints the agreement and every run
that differs, and leaves both side by side as CSV in the diagram's folder.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from grokking_pl.commands.main import main as grok
from grokking_pl.metrics import classify

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests/reference"
RUNS = ROOT / "runs/diagrams"

COLUMNS = {
    "embedding_lr": "model.embeddings.lr",
    "decoder_lr": "model.decoder.lr",
    "decoder_weight_decay": "model.decoder.weight_decay",
}
LABELS_WANTED = {"figure5a": 100, "figure5b": 106}
"""Labels that must be equal. The cells of figure 5b that differ lie at a border, where rounding decides: in three of
the four the same run by ``grok fit``, with the operations of the published code, differs as well."""
DELAYS = (1000, 2000)
"""Table 1's delay, and the one with which the published figure 5a was drawn."""
LAST_STEP = 9999
MODERATE_RATE = 1e-3
"""Learning rate above which the published runs are chaotic."""


def compare(name: str, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of a diagram beside the published ones, a row a cell.

    Published steps count from 0: the training accuracy is taken after the update of a step, the validation accuracy
    before it, and a threshold never reached is written as the last step. Ours count the updates made, so a published
    training step is one less; a validation step is the same. The columns ``train`` and ``val`` are in published steps.
    """
    published = pd.read_csv(REFERENCE / f"{name}.csv")
    axes = [column for column in COLUMNS if column in published]
    published = published.rename(
        columns={f"steps_to_{which}_acc_0.9": f"published_{which}" for which in ("train", "val")}
    )
    ours = pd.DataFrame({axis: runs[COLUMNS[axis]] for axis in axes})
    # Outside the published range, steps 0 .. 9999, a threshold is not reached.
    ours["train"] = (runs.steps_to_train - 1).clip(lower=0)
    ours["val"] = runs.steps_to_val.where(runs.steps_to_val <= LAST_STEP)
    for frame in (ours, published):
        for axis in axes:
            frame[axis] = [float(f"{value:.9g}") for value in frame[axis]]
    both = published.merge(ours, on=axes, how="left", validate="one_to_one", indicator=True)
    if (both.pop("_merge") != "both").any():
        raise ValueError(f"{name}: the diagram lacks published cells")
    for which in ("train", "val"):
        steps = both[f"published_{which}"]
        both[f"published_{which}"] = steps.where(steps < LAST_STEP)
    for delay in DELAYS:
        for prefix in ("", "published_"):
            both[f"{prefix}phase_{delay}"] = [
                phase_of(train, val, delay)
                for train, val in zip(both[f"{prefix}train"], both[f"{prefix}val"], strict=True)
            ]
    rates = both.reindex(columns=["embedding_lr", "decoder_lr"], fill_value=0.0)
    both["moderate"] = rates.max(axis=1) <= MODERATE_RATE * 1.0001
    for which in ("train", "val"):
        a, b = both[which], both[f"published_{which}"]
        both[f"{which}_agrees"] = (a.isna() & b.isna()) | ((a - b).abs() <= 0.05 * b)
    return both


def phase_of(train: float, val: float, delay: int) -> str:
    """The phase by two steps, of which those never reached are nan."""
    return str(classify(None if np.isnan(train) else train, None if np.isnan(val) else val, delay))


def run(name: str, options: list[str]) -> pd.DataFrame:
    """The table of a published grid; it is trained unless it is there."""
    folder = RUNS / name
    grok(["diagram", "--config", str(ROOT / f"configs/diagrams/{name}.yaml"), "--folder", str(folder), *options])
    return pd.read_csv(folder / "runs.csv")


def agreement(both: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """How many of how many labels and steps agree."""
    found = {
        f"labels, delay {delay}": (int((both[f"phase_{delay}"] == both[f"published_phase_{delay}"]).sum()), len(both))
        for delay in DELAYS
    }
    moderate = both[both.moderate]
    for which in ("train", "val"):
        found[f"{which} steps within 5 %, rates <= {MODERATE_RATE:g}"] = (
            int(moderate[f"{which}_agrees"].sum()),
            len(moderate),
        )
    return found


def show(name: str, both: pd.DataFrame) -> None:
    """Print the agreement and the cells that differ."""
    console = Console(width=150)
    table = Table("compared", "agree", "of", title=f"{name} against the published numbers", title_justify="left")
    for what, (agree, total) in agreement(both).items():
        table.add_row(what, str(agree), str(total))
    console.print(table)
    labels = np.any([both[f"phase_{d}"] != both[f"published_phase_{d}"] for d in DELAYS], axis=0)
    steps = both.moderate & ~(both.train_agrees & both.val_agrees)
    differing = both[labels | steps]
    if differing.empty:
        return
    columns = [column for column in COLUMNS if column in both]
    columns += ["train", "published_train", "val", "published_val", "phase_1000", "published_phase_1000"]
    table = Table(*columns, title=f"{name}: runs that differ", title_justify="left")
    for row in differing[columns].itertuples(index=False):
        table.add_row(*("never" if pd.isna(v) else v if isinstance(v, str) else f"{v:.4g}" for v in row))
    console.print(table)


def main() -> None:
    """Run the diagrams asked for and compare them; what is not known here is passed on to `grok diagram`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", help=f"any of {', '.join(LABELS_WANTED)}; default both")
    arguments, options = parser.parse_known_args()
    unknown = set(arguments.figures) - set(LABELS_WANTED)
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}: choose from {', '.join(LABELS_WANTED)}")
    for name in arguments.figures or LABELS_WANTED:
        both = compare(name, run(name, options))
        both.to_csv(RUNS / name / "published.csv", index=False)
        show(name, both)


if __name__ == "__main__":
    main()
