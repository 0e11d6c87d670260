"""Compare whole phase diagrams of `grok diagram` with the grids that the paper's authors published.

    python scripts/check_diagrams.py                 figures 6a and 6b, 210 runs
    python scripts/check_diagrams.py published_6a    one of them

Each diagram is a folder under runs/diagrams; finished ones are not run again. Prints the agreement and every run that
differs, and writes both side by side as CSV to the diagram's folder.
"""

import argparse

import numpy as np
import pandas as pd
from published import COLUMNS, GRIDS, LAST_STEP, MODERATE_RATE, ROOT, close, grid, moderate, phase_of
from tables import print_table

from grokking_pl.commands.main import main as grok

RUNS = ROOT / "runs/diagrams"
DELAYS = (1000, 2000)
"""The delay of table 1, and that of the published diagram of figure 6a."""


def compare(name: str, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of a diagram with the published ones, one row per cell, with steps counted as published."""
    published = grid(name)
    axes = [column for column in COLUMNS if column in published]
    ours = pd.DataFrame({axis: runs[COLUMNS[axis]] for axis in axes})
    # Outside the published range, steps 0 .. 9999, a threshold counts as not reached.
    ours["train"] = (runs.steps_to_train - 1).clip(lower=0)
    ours["val"] = runs.steps_to_val.where(runs.steps_to_val <= LAST_STEP)
    for frame in (ours, published):
        for axis in axes:
            frame[axis] = [float(f"{value:.9g}") for value in frame[axis]]
    both = published.merge(ours, on=axes, how="left", validate="one_to_one", indicator=True)
    if (both.pop("_merge") != "both").any():
        raise ValueError(f"{name}: the diagram lacks published cells")
    for delay in DELAYS:
        for prefix in ("", "published_"):
            steps = zip(both[f"{prefix}train"], both[f"{prefix}val"], strict=True)
            both[f"{prefix}phase_{delay}"] = [phase_of(train, val, delay) for train, val in steps]
    both["moderate"] = moderate(both)
    for which in ("train", "val"):
        both[f"{which}_agrees"] = close(both[which], both[f"published_{which}"], 0.05)
    return both


def run(name: str, options: list[str]) -> pd.DataFrame:
    """Train the missing runs of a published grid, and return its table."""
    folder = RUNS / name
    grok(["diagram", "--config", str(ROOT / f"configs/diagrams/{name}.yaml"), "--folder", str(folder), *options])
    return pd.read_csv(folder / "runs.csv")


def agreement(both: pd.DataFrame) -> pd.DataFrame:
    """Numbers of phases and steps that agree, and totals."""
    rows: list[tuple[str, int, int]] = [
        (f"phases, delay {delay}", (both[f"phase_{delay}"] == both[f"published_phase_{delay}"]).sum(), len(both))
        for delay in DELAYS
    ]
    at_moderate_rates = both[both.moderate]
    for which in ("train", "val"):
        agree = int(at_moderate_rates[f"{which}_agrees"].sum())
        rows.append((f"{which} steps within 5 %, rates <= {MODERATE_RATE:g}", agree, len(at_moderate_rates)))
    return pd.DataFrame(rows, columns=["compared", "agree", "of"]).set_index("compared")


def differing(both: pd.DataFrame) -> pd.DataFrame:
    """The cells whose phase, or steps at moderate rates, differ from the published ones."""
    phases = np.any([both[f"phase_{delay}"] != both[f"published_phase_{delay}"] for delay in DELAYS], axis=0)
    steps = both.moderate & ~(both.train_agrees & both.val_agrees)
    columns = [column for column in COLUMNS if column in both]
    columns += ["train", "published_train", "val", "published_val", "phase_1000", "published_phase_1000"]
    rows: pd.DataFrame = both.loc[phases | steps, columns]
    return rows


def main() -> None:
    """Run the diagrams asked for and compare them; unknown options are passed on to `grok diagram`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("diagrams", nargs="*", help=f"any of {', '.join(GRIDS)}; default both")
    arguments, options = parser.parse_known_args()
    unknown = set(arguments.diagrams) - set(GRIDS)
    if unknown:
        parser.error(f"unknown diagram {', '.join(unknown)}: choose from {', '.join(GRIDS)}")
    for name in arguments.diagrams or GRIDS:
        both = compare(name, run(name, options))
        both.to_csv(RUNS / name / "published.csv", index=False)
        print_table(f"{name} against the published numbers", agreement(both).reset_index())
        if len(cells := differing(both)):
            print_table(f"{name}: runs that differ", cells)


if __name__ == "__main__":
    main()
