"""What the figure scripts share: their command line, runs that are made once and kept, and the files they leave."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokking_pl.plots.captions import add_caption
from grokking_pl.runs import RunFolder

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
REFERENCE = ROOT / "tests/reference"
SAMPLES = 55
"""Unordered pairs of ten symbols: the table behind figures 3 to 5."""
PUBLISHED_STEPS = 10_000
"""Budget of the published runs; they write a threshold never reached as the last step, counted from 0."""


@dataclass(frozen=True)
class FigureRun:
    """A figure in the making.

    Args:
        name: of the figure, and of its folder.
        quick: whether to make the version of under two minutes.
        folder: where all figures are; the runs, which several figures share, are in its folder ``runs``.
        steps: steps of every run, in place of the figure's own; for a trial.
        jobs: commands at a time.
    """

    name: str
    quick: bool
    folder: Path
    steps: int | None
    jobs: int

    def fit(self, runs: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, Path]:
        """Train with ``grok fit`` what has not been trained yet; a run that was interrupted goes on.

        Args:
            runs: configuration file and options of each run, by the name of its folder.

        Returns:
            The runs' folders by the same names.
        """
        folders = {name: self._place(name) for name in runs}
        left = [name for name in runs if RunFolder(folders[name]).read_summary().get("status") != "finished"]
        always = ["--ckpt_path=auto", "--trainer.enable_progress_bar=false", *self._budget("trainer.max_steps")]
        self._run(
            ["fit", f"--config={CONFIGS / runs[name][0]}", f"--run_dir={folders[name]}", *runs[name][1], *always]
            for name in left
        )
        return folders

    def diagrams(self, diagrams: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, pd.DataFrame]:
        """The tables of diagrams; ``grok diagram`` trains the runs that they lack.

        Args:
            diagrams: name in configs/diagrams and options of each diagram, by the name of its folder.
        """
        folders = {name: self._place(name) for name in diagrams}
        self._run(
            ["diagram", f"--config={CONFIGS}/diagrams/{config}.yaml", f"--folder={folders[name]}", *options,
             *self._budget("steps"), f"--workers={self._cores_of_one(len(diagrams))}"]
            for name, (config, options) in diagrams.items()
        )  # fmt: skip
        return {name: pd.read_csv(folder / "runs.csv") for name, folder in folders.items()}

    def diagram(self, config: str, *options: str) -> pd.DataFrame:
        """The table of one diagram in configs/diagrams."""
        return self.diagrams({config: (config, options)})[config]

    def save(self, figure: Figure, caption: str, tables: Mapping[str, pd.DataFrame]) -> None:
        """Write the figure with its caption as PNG and SVG, the caption as text, and what is drawn as CSV."""
        folder = self.folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        if self.steps is not None:
            caption = f"TRIAL OF {self.steps} STEPS. {caption}"
        caption = re.sub(r"\s+", " ", caption).strip()
        command = shlex.join(["python", *map(os.path.relpath, sys.argv[:1]), *sys.argv[1:]])
        (folder / "caption.md").write_text(f"{caption}\n\nMade by `{command}`.\n")
        add_caption(figure, caption)
        for ending in ("png", "svg"):
            figure.savefig(folder / f"{self.name}.{ending}", dpi=150)
        print(folder / f"{self.name}.png")

    def _run(self, commands: Iterable[Sequence[str]]) -> None:
        """Run several at a time, each with its share of the cores and without its tables."""
        waiting = list(commands)
        # Threads of the quick versions' small networks wait for each other longer than they work.
        threads = 1 if self.quick else self._cores_of_one(len(waiting))
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}

        def grok(arguments: Sequence[str]) -> None:
            command = [sys.executable, "-m", "grokking_pl", *arguments]
            subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)

        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(grok, waiting))

    def _cores_of_one(self, count: int) -> int:
        return max(1, cores() // max(1, min(self.jobs, count)))

    def _place(self, name: str) -> Path:
        return self.folder / "runs" / (name if self.steps is None else f"{name}_{self.steps}_steps")

    def _budget(self, option: str) -> list[str]:
        return [] if self.steps is None else [f"--{option}={self.steps}"]


def make(draw: Callable[[FigureRun], None], about: str | None) -> None:
    """Read the command line and make the figure that the script is named after."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller version, in under two minutes on two cores")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs/figures", help="of all figures and their runs")
    parser.add_argument("--steps", type=int, help="steps of every run, in place of the figure's own; for a trial")
    parser.add_argument("--jobs", type=int, default=cores(), help="commands at a time")
    chosen = parser.parse_args()
    try:
        draw(FigureRun(Path(sys.argv[0]).stem, chosen.quick, chosen.folder.resolve(), chosen.steps, chosen.jobs))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # grok has said why
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def seeds_of(runs: pd.DataFrame) -> str:
    """The seeds of a table's runs, in words."""
    seeds = sorted(runs.seed.unique())
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def summary_of(folder: Path) -> dict[str, Any]:
    """The summary of a run."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def metrics_of(folder: Path, *names: str) -> pd.DataFrame:
    """The evaluated steps of a run with the metrics asked for."""
    return pd.read_csv(folder / "metrics.csv")[["step", *names]].dropna().reset_index(drop=True)


def training_fraction_runs(run: FigureRun, config: str) -> pd.DataFrame:
    """Toy addition at training sets of 5 to 54 samples, a row a run, with the published numbers (figures 3 and 4b).

    Steps are updates made, nan for never. Published steps count from 0, so theirs are one less.
    """
    runs = run.diagram(config).rename(columns={"data.train_count": "train_count"})
    n = runs.train_count
    ours = runs[["train_count", "seed"]].assign(
        train_fraction=n / SAMPLES,
        accuracy=(n * runs.train_accuracy + (SAMPLES - n) * runs.val_accuracy) / SAMPLES,
        predicted_accuracy=runs.predicted_accuracy,
        steps_to_rqi=runs.steps_to_rqi,
    )
    accuracies, steps = (pd.read_csv(REFERENCE / f"{name}.csv") for name in ("figure3", "figure4b"))
    published = accuracies.merge(steps, on=["train_num", "seed"]).rename(columns={"train_num": "train_count"})
    published["steps_to_rqi"] = (published.pop("steps_to_rqi_0.95") + 1).where(lambda s: s < PUBLISHED_STEPS)
    columns = {name: f"published_{name}" for name in ("accuracy", "predicted_accuracy", "steps_to_rqi")}
    return ours.merge(published.rename(columns=columns).drop(columns="train_fraction"), on=["train_count", "seed"])


def equal_steps(ours: pd.Series, published: pd.Series, relative: float) -> pd.Series:
    """Whether two steps agree: both never, or within a share of the published one."""
    return (ours.isna() & published.isna()) | ((ours - published).abs() <= np.maximum(1, relative * published))


def transformer_run(run: FigureRun) -> Path:
    """The transformer of section 4.2 that learns modular addition, or a smaller one (figure 1 and appendix K)."""
    name = "transformer_modular_addition" + ("_small" if run.quick else "")
    return run.fit({name: (f"{name}.yaml", ())})[name]
