"""What the figure scripts share: their command line, runs that are made once and kept, and the files they write."""

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from all_cores import cores
from matplotlib.figure import Figure
from published import ROOT

from grokking_pl.plots.captions import add_caption
from grokking_pl.runs import RunFolder

CONFIGS = ROOT / "configs"
RESULTS = ROOT / "docs/results"
"""What is kept of finished figures, and shown by the documentation."""
MOST_ROWS_KEPT = 20_000
"""Of a table there: what the network makes of every point of a plane has more."""
PACKAGES = ("grokking_pl", "torch", "lightning", "numpy")


@dataclass(frozen=True)
class FigureRun:
    """A figure in the making.

    Args:
        name: of the figure, and of its folder.
        quick: whether to make the version that takes under two minutes.
        coarse: whether to make the version that has the published setting, but fewer runs or steps.
        folder: of all figures; the runs, which several figures share, are in its folder ``runs``.
        steps: steps of every run, in place of the figure's own; for a trial.
        jobs: how many commands run at a time.
        keep: whether the figure is also kept in docs/results.
        panels: those that are made, by their letters; empty for a figure that is made as a whole.
    """

    name: str
    quick: bool
    coarse: bool
    folder: Path
    steps: int | None
    jobs: int
    keep: bool
    panels: tuple[str, ...] = ()

    def fit(self, runs: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, Path]:
        """Train with ``grok fit`` what has not been trained yet; a run that was interrupted is resumed.

        Args:
            runs: configuration file and options of each run, by the name of its folder.

        Returns:
            The runs' folders by the same names.
        """
        folders = {name: self._run_folder(name) for name in runs}
        for name, (config, options) in runs.items():
            self._check_settings(folders[name], config, options)
        unfinished = [name for name in runs if RunFolder(folders[name]).read_summary().get("status") != "finished"]
        common = ["--ckpt_path=auto", "--trainer.enable_progress_bar=false", *self._budget("trainer.max_steps")]
        self._run(
            ["fit", f"--config={CONFIGS / runs[name][0]}", f"--run_dir={folders[name]}", *runs[name][1], *common]
            for name in unfinished
        )
        return folders

    def diagrams(self, diagrams: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, pd.DataFrame]:
        """The tables of diagrams; ``grok diagram`` trains the runs that they lack.

        Args:
            diagrams: name in configs/ and options of each diagram, by the name of its folder.
        """
        folders = {name: self._run_folder(name) for name in diagrams}
        self._run(
            ["diagram", f"--config={CONFIGS}/{config}.yaml", f"--folder={folders[name]}", *options,
             *self._budget("steps"), f"--workers={self._cores_per_command(len(diagrams))}"]
            for name, (config, options) in diagrams.items()
        )  # fmt: skip
        return {name: pd.read_csv(folder / "runs.csv") for name, folder in folders.items()}

    def diagram(self, name: str, *options: str) -> pd.DataFrame:
        """The table of one diagram in configs/figures."""
        return self.diagrams({name: (f"figures/{name}", options)})[name]

    def curves(self, name: str) -> pd.DataFrame:
        """The curves of a diagram that has been made, one row per run and step."""
        return pd.read_csv(self._run_folder(name) / "curves.csv")

    def save(self, figure: Figure, caption: str, tables: Mapping[str, pd.DataFrame]) -> None:
        """Write the figure with its caption as PNG and SVG, the caption as text, and what is drawn as CSV."""
        if self.steps is not None:
            caption = f"TRIAL OF {self.steps} STEPS. {caption}"
        caption = re.sub(r"\s+", " ", caption).strip()
        if self.keep:
            small = {name: table for name, table in tables.items() if len(table) <= MOST_ROWS_KEPT}
            write_figure(self.results, figure, f"{caption}\n\n{self._provenance_of_kept()}", small, ("png",))
        add_caption(figure, caption)
        folder = self.folder / self.name
        write_figure(folder, figure, f"{caption}\n\n{provenance()}", tables, ("png", "svg"))
        print(folder / f"{self.name}.png")

    @property
    def results(self) -> Path:
        """The folder in docs/results."""
        return RESULTS / self.name

    def kept_tables(self, names: Iterable[str]) -> dict[str, pd.DataFrame]:
        """The tables of those names in docs/results: of panels that are not made this time but kept with the others."""
        files = {name: self.results / f"{name}.csv" for name in names} if self.keep else {}
        return {name: pd.read_csv(file) for name, file in files.items() if file.exists()}

    def check_kept(self) -> None:
        """Exit with one line if docs/results has panels of another size, which the same figure cannot show."""
        if self.keep and self.panels and self._record.exists():
            size = json.loads(self._record.read_text())["size"]
            if size != self._size:
                sys.exit(f"{self.results} has panels of the size {size}, not {self._size}: move it away")

    @property
    def _size(self) -> str:
        size = "quick" if self.quick else "coarse" if self.coarse else "full"
        return size if self.steps is None else f"{size}, {self.steps} steps"

    @property
    def _record(self) -> Path:
        return self.results / "made_by.json"

    def _provenance_of_kept(self) -> str:
        """One line, or one for all panels that were made at a time, where panels may be made one by one."""
        if not self.panels:
            return provenance()
        made = json.loads(self._record.read_text())["panels"] if self._record.exists() else {}
        made = dict(sorted({**made, **dict.fromkeys(self.panels, provenance())}.items()))
        self._record.parent.mkdir(parents=True, exist_ok=True)
        self._record.write_text(f"{json.dumps({'size': self._size, 'panels': made}, indent=1)}\n")
        lines = dict.fromkeys(made.values())
        panels = {line: [panel for panel in made if made[panel] == line] for line in lines}
        return "\n\n".join(f"Panel{'s' * (len(p) > 1)} {', '.join(p)}. {line}" for line, p in panels.items())

    def _check_settings(self, folder: Path, config: str, options: Sequence[str]) -> None:
        """Keep what a run is made with beside its folder; one that was made with anything else is not drawn."""
        settings = {"config": yaml.safe_load((CONFIGS / config).read_text()), "options": list(options)}
        record = folder.with_name(f"{folder.name}.json")
        if not record.exists():
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps(settings))
        elif json.loads(record.read_text()) != settings:
            sys.exit(f"{folder} was made with other settings than those of {config}: move it away, with {record.name}")

    def _run(self, commands: Iterable[Sequence[str]]) -> None:
        """Run several commands at a time, each with its share of the cores, without what they print."""
        all_commands = list(commands)
        # Threads of the quick versions' small networks wait for each other longer than they work.
        threads = 1 if self.quick else self._cores_per_command(len(all_commands))
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}

        def grok(arguments: Sequence[str]) -> None:
            command = [sys.executable, "-m", "grokking_pl", *arguments]
            subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)

        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(grok, all_commands))

    def _cores_per_command(self, count: int) -> int:
        return max(1, cores() // max(1, min(self.jobs, count)))

    def _run_folder(self, name: str) -> Path:
        return self.folder / "runs" / (name if self.steps is None else f"{name}_{self.steps}_steps")

    def _budget(self, option: str) -> list[str]:
        return [] if self.steps is None else [f"--{option}={self.steps}"]


def write_figure(
    folder: Path, figure: Figure, caption: str, tables: Mapping[str, pd.DataFrame], endings: Iterable[str]
) -> None:
    """Write a figure, its caption, and what is drawn, one table per panel, into a folder of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "caption.md").write_text(f"{caption}\n")
    for ending in endings:
        figure.savefig(folder / f"{folder.name}.{ending}", dpi=150)


def provenance() -> str:
    """By which command, when, where and with which versions a figure was made."""
    script, options = os.path.relpath(sys.argv[0], ROOT), " ".join(sys.argv[1:])
    # Where it was written is nobody else's concern.
    words = [script, *re.sub(r"--keep|--folder[ =]\S+", "", options).split()]
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    machine = f"{cores()} cores of {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    date = time.strftime("%d %B %Y").lstrip("0")
    return f"Made by `{shlex.join(['python', *words])}` on {date}: {machine}, {versions}."


def make(
    draw: Callable[[FigureRun], None], about: str | None, has_coarse: bool = False, panels: Sequence[str] = ()
) -> None:
    """Read the command line and make the figure that the script is named after.

    Args:
        draw: makes it.
        about: what the script is, for its help.
        has_coarse: whether there is a coarse version.
        panels: the letters of those that can be made without the others.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a smaller version, in under two minutes on two cores")
    if has_coarse:
        size.add_argument("--coarse", action="store_true", help="the published setting with fewer runs and steps")
    parser.set_defaults(coarse=False)
    parser.add_argument("--folder", type=Path, default=ROOT / "runs/figures", help="for all figures and their runs")
    parser.add_argument("--steps", type=int, help="steps of every run, in place of the figure's own; for a trial")
    parser.add_argument("--jobs", type=int, default=cores(), help="how many commands run at a time")
    parser.add_argument("--keep", action="store_true", help="also in docs/results, which the documentation shows")
    parser.set_defaults(panels=())
    if panels:
        parser.add_argument("--panels", nargs="+", choices=panels, default=panels, help="the panels to make")
    chosen = parser.parse_args()
    name = Path(sys.argv[0]).stem
    try:
        folder = chosen.folder.resolve()
        chosen_panels = tuple(panel for panel in panels if panel in chosen.panels)
        size_and_place = (chosen.quick, chosen.coarse, folder, chosen.steps, chosen.jobs, chosen.keep)
        run = FigureRun(name, *size_and_place, chosen_panels)
        run.check_kept()
        draw(run)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # grok has said why
    except KeyboardInterrupt:
        sys.exit("stopped; run the same command again to resume")


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


def first_step(metrics: pd.DataFrame, threshold: float, which: str = "val_accuracy") -> float:
    """The first evaluated step with an accuracy at or above a threshold; infinite for never."""
    passed = metrics.step[metrics[which] >= threshold]
    return float(passed.iloc[0]) if len(passed) else float("inf")


def phase_counts(runs: pd.DataFrame) -> str:
    """How many runs of a diagram have each phase, in words."""
    return ", ".join(f"{phase} {number}" for phase, number in runs.phase.value_counts().items())


def transformer_run(run: FigureRun) -> Path:
    """The transformer of figures 1 and 7 (left) and of appendix K, or a smaller one."""
    name, config = "figure1", "figures/figure1.yaml"
    if run.quick:
        name = "transformer_modular_addition_small"
        config = f"{name}.yaml"
    return run.fit({name: (config, ())})[name]
