"""Several runs side by side: grouped by all settings but the seed, with medians, bands and steps to thresholds."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokking_pl.errors import UserError
from grokking_pl.experiments import flatten
from grokking_pl.metrics.median_interval import MedianInterval, median_interval
from grokking_pl.plots.comparison import comparison_curves
from grokking_pl.report.run_results import RunResults, read_run
from grokking_pl.report.writing import is_run
from grokking_pl.runs.diagram_folder import value_text

NO_SETTINGS = (
    "seed_everything", "run_dir", "config", "ckpt_path", "fork", "trainer.logger", "trainer.default_root_dir",
    "trainer.enable_progress_bar",
)  # fmt: skip
"""What may differ between the runs of a group."""
MOST_DIFFERENCES = 3
"""Settings that a group's name lists; with more it has the name of its first run."""


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seeds alone.

    Args:
        name: the settings in which it differs from other groups.
        runs: at least one.
    """

    name: str
    runs: tuple[RunResults, ...]

    def steps(self, column: str) -> MedianInterval:
        """The median of the steps to a threshold, infinite for never, with its interval."""
        return median_interval([_steps(run.summary.get(column)) for run in self.runs])

    def first_step(self, metric: str, threshold: float) -> MedianInterval:
        """The median of the first logged step at which a metric is at least a threshold, with its interval."""
        firsts = []
        for run in self.runs:
            reached = run.metrics.step[run.metrics[metric] >= threshold]
            firsts.append(float(reached.iloc[0]) if len(reached) else math.inf)
        return median_interval(firsts)

    def curve(self, metric: str) -> pd.DataFrame:
        """The median of a metric at every step that any run logged, and its quartiles: step, median, low, high.

        Between its own steps a run's value is interpolated linearly; beyond its last one it has none.
        """
        curves = [run.metrics[["step", metric]].dropna().astype(float) for run in self.runs]
        steps = np.unique(np.concatenate([curve.step.to_numpy() for curve in curves]))
        values = np.stack(
            [np.interp(steps, curve.step, curve[metric], left=np.nan, right=np.nan) for curve in curves if len(curve)]
        )
        # Where half of the runs have ended, a median of the others would be of a choice.
        steps, values = (part[..., np.isfinite(values).mean(0) >= 0.5] for part in (steps, values))
        low, median, high = np.nanquantile(values, (0.25, 0.5, 0.75), axis=0)
        return pd.DataFrame({"step": steps, "median": median, "low": low, "high": high})


@dataclass(frozen=True)
class Comparison:
    """Groups of runs, and the metric that is compared.

    Args:
        groups: in the order in which their first runs were given.
        metric: a column that every run has.
        threshold: of the metric, to which steps are counted; None for the runs' own thresholds of their accuracies.
    """

    groups: tuple[Group, ...]
    metric: str
    threshold: float | None

    @property
    def table(self) -> pd.DataFrame:
        """One row per group: runs, phases, steps to the thresholds with intervals, the metric at the end."""
        return pd.DataFrame([self._row(group) for group in self.groups])

    @property
    def curves(self) -> pd.DataFrame:
        """The curve of each group, as `Group.curve` has it, with a column ``group``."""
        return pd.concat([group.curve(self.metric).assign(group=group.name) for group in self.groups])

    def figure(self) -> Figure:
        """The metric over steps: the median of each group, its quartiles as a band."""
        runs = {group.name: len(group.runs) for group in self.groups}
        return comparison_curves(self.curves, self.metric, runs, self.threshold)

    def _row(self, group: Group) -> dict[str, Any]:
        ends = [run.metrics[self.metric].dropna().iloc[-1] for run in group.runs]
        phases = [str(run.summary.get("phase", "")) for run in group.runs]
        row: dict[str, Any] = {
            "group": group.name,
            "runs": len(group.runs),
            "phases": ", ".join(
                f"{phase} {number}" if len(phases) > 1 else phase
                for phase, number in Counter(phases).most_common()
                if phase
            ),
        }
        intervals = (
            {name: group.steps(name) for name in ("steps_to_train", "steps_to_val")}
            if self.threshold is None
            else {f"steps_to_{self.metric}_{self.threshold:g}": group.first_step(self.metric, self.threshold)}
        )
        for name, interval in intervals.items():
            row |= {name: interval.median, f"{name}_low": interval.low, f"{name}_high": interval.high}
            row["confidence"] = interval.confidence
        return row | {self.metric: float(np.median(ends))}


def compare_runs(paths: Sequence[Path], metric: str = "val_accuracy", threshold: float | None = None) -> Comparison:
    """Read runs, group those that differ in their seeds alone, and see that they have the metric in common.

    Args:
        paths: folders of runs, or folders that hold such.
        metric: a column of ``metrics.csv`` or ``measures.csv``.
        threshold: counts the steps until the metric is at least this.

    Raises:
        UserError: a folder holds no run, a file is corrupt, or a run lacks the metric.
    """
    runs = [read_run(path) for path in dict.fromkeys(found for path in paths for found in run_folders(path))]
    for run in runs:
        if metric not in run.metrics or not run.metrics[metric].notna().any():
            raise UserError(f"{run.path} has no metric {metric}; {_in_common(runs)}")
    return Comparison(tuple(group_runs(runs)), metric, threshold)


def run_folders(path: Path) -> list[Path]:
    """A run's folder, or those of the runs in a folder, of a sweep for example.

    Raises:
        UserError: there is none.
    """
    if not path.is_dir():
        what = "is a file and not a folder" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}: give folders of runs, or a folder that holds some")
    if is_run(path):
        return [path]
    below = sorted(folder for pattern in ("*", "runs/*") for folder in path.glob(pattern) if is_run(folder))
    if not below:
        hint = ": it is a diagram, whose figure compares its runs" if (path / "diagram.json").exists() else ""
        raise UserError(f"{path} holds no run (summary.json, metrics.csv), and no folder of one{hint}")
    return below


def group_runs(runs: Sequence[RunResults]) -> list[Group]:
    """Runs that differ in their seeds alone, together."""
    members: dict[str, list[RunResults]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for run in runs:
        own = {name: value for name, value in flatten(run.config).items() if not _is_no_setting(name)}
        # A folder without a configuration is a group of its own.
        key = value_text(own) if own else str(run.path)
        members.setdefault(key, []).append(run)
        settings[key] = own
    names = _names(settings, {key: group[0].path.name for key, group in members.items()})
    return [Group(names[key], tuple(group)) for key, group in members.items()]


def _names(settings: dict[str, dict[str, Any]], folders: dict[str, str]) -> dict[str, str]:
    """What groups are called: by what tells them apart, or by their first run's folder where that is much."""
    if len(settings) == 1:
        return dict(folders)
    everything = dict.fromkeys(name for own in settings.values() for name in own)
    differing = [name for name in everything if len({value_text(own.get(name)) for own in settings.values()}) > 1]
    if not differing or len(differing) > MOST_DIFFERENCES:
        unique = len(set(folders.values())) == len(folders)
        return dict(folders) if unique else {key: f"{name} ({k + 1})" for k, (key, name) in enumerate(folders.items())}
    return {
        key: ", ".join(f"{'.'.join(name.split('.')[-2:])} {value_text(own.get(name))}" for name in differing)
        for key, own in settings.items()
    }


def _is_no_setting(name: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in NO_SETTINGS)


def _steps(value: Any) -> float:
    return math.inf if value is None else float(value)


def _in_common(runs: Sequence[RunResults]) -> str:
    shared = set.intersection(*({str(name) for name in run.metrics} for run in runs)) - {"step", "phase_name"}
    return f"all of them have {', '.join(sorted(shared))}" if shared else "the runs have no metric in common"
