"""Comparison of runs, grouped by all settings but the seed: medians, bands and steps to thresholds."""

import json
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
from grokking_pl.metrics.crossings import further_columns
from grokking_pl.metrics.median_interval import MedianInterval, median_interval
from grokking_pl.metrics.quartiles import quartiles
from grokking_pl.plots.comparison import comparison_curves
from grokking_pl.report.run_results import RunResults, corrupt, read_run
from grokking_pl.report.writing import is_run
from grokking_pl.runs import RunFolder
from grokking_pl.runs.diagram_folder import value_text

NO_SETTINGS = (
    "seed_everything", "run_dir", "config", "ckpt_path", "fork", "trainer.logger", "trainer.default_root_dir",
    "trainer.enable_progress_bar",
)  # fmt: skip
"""Settings that may differ within a group."""
MOST_DIFFERENCES = 3
"""Most settings in a group's name; with more, it gets the name of its first run."""


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seeds.

    Args:
        name: settings in which it differs from other groups.
        runs: at least one run.
    """

    name: str
    runs: tuple[RunResults, ...]

    def steps(self, column: str) -> MedianInterval:
        """The median steps to a threshold, infinite for never, with an interval."""
        return median_interval([_steps(run.summary.get(column)) for run in self.runs])

    def first_step(self, metric: str, threshold: float) -> MedianInterval:
        """The median of the first step with a metric at or above a threshold, with an interval.

        A run's step is that of its summary if it counted steps to this threshold, or else the first logged step.
        """
        return median_interval([_first_step(run, metric, threshold) for run in self.runs])

    def is_counted(self, metric: str, threshold: float) -> bool:
        """Whether the steps to a threshold are those of the summaries, in every run that reached it."""
        return all(
            _column_of(run, metric, threshold) or math.isinf(_first_step(run, metric, threshold)) for run in self.runs
        )

    def curve(self, metric: str) -> pd.DataFrame:
        """The median and quartiles of a metric at every step logged by any run: step, median, low, high.

        A run's values are interpolated linearly between its own steps; beyond its last step it has none.
        """
        curves = [run.metrics[["step", metric]].dropna().astype(float) for run in self.runs]
        steps = np.unique(np.concatenate([curve.step.to_numpy() for curve in curves]))
        values = np.stack(
            [np.interp(steps, curve.step, curve[metric], left=np.nan, right=np.nan) for curve in curves if len(curve)]
        )
        # Where half of the runs have ended, the median of the rest would be biased.
        steps, values = (part[..., np.isfinite(values).mean(0) >= 0.5] for part in (steps, values))
        low, median, high = quartiles(values)
        return pd.DataFrame({"step": steps, "median": median, "low": low, "high": high})


@dataclass(frozen=True)
class Comparison:
    """Groups of runs and the metric compared.

    Args:
        groups: groups, in the order of their first runs.
        metric: column that every run has.
        threshold: threshold of the metric, to which steps are counted; None for the runs' own accuracy thresholds.
    """

    groups: tuple[Group, ...]
    metric: str
    threshold: float | None

    @property
    def table(self) -> pd.DataFrame:
        """A table with one row per group: runs, phases, steps to thresholds with intervals, final metric."""
        return pd.DataFrame([self._row(group) for group in self.groups])

    @property
    def curves(self) -> pd.DataFrame:
        """The curves of all groups (see `Group.curve`), with a column ``group``."""
        return pd.concat([group.curve(self.metric).assign(group=group.name) for group in self.groups])

    def figure(self) -> Figure:
        """Draw the metric over steps: the median of each group, with quartiles as a band."""
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
        if self.threshold is not None:
            row["steps_from"] = "summary" if group.is_counted(self.metric, self.threshold) else "log"
        return row | {self.metric: float(np.median(ends))}


def compare_runs(paths: Sequence[Path], metric: str = "val_accuracy", threshold: float | None = None) -> Comparison:
    """Read runs, group those that differ only in their seeds, and check that all have the metric.

    Args:
        paths: folders of runs, or folders that contain such folders.
        metric: a column of ``metrics.csv`` or ``measures.csv``.
        threshold: count the steps until the metric reaches this value.

    Raises:
        UserError: there are no runs, a folder holds none, a file is corrupt, a run lacks the metric or has words for
            it, or the threshold is no number.
    """
    if not paths:
        raise UserError("there are no runs to compare: give at least one")
    if threshold is not None and not (isinstance(threshold, int | float) and math.isfinite(threshold)):
        raise UserError(f"the threshold is {threshold}; it must be a number")
    runs = [read_run(path) for path in dict.fromkeys(found for path in paths for found in run_folders(path))]
    for run in runs:
        if metric == "step" or metric not in run.metrics or not run.metrics[metric].notna().any():
            raise UserError(f"{run.path} has no metric {metric}; {_in_common(runs)}")
        if not pd.api.types.is_numeric_dtype(run.metrics[metric]):
            raise UserError(f"the values of {metric} in {run.path} are not all numbers; {_in_common(runs)}")
    return Comparison(tuple(group_runs(runs)), metric, threshold)


def run_folders(path: Path) -> list[Path]:
    """A run's folder, or the folders of the runs in a folder, such as a sweep's.

    Raises:
        UserError: there is no run.
    """
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}: give folders of runs, or a folder that contains runs")
    if is_run(path):
        return [path]
    below = sorted(folder for pattern in ("*", "runs/*") for folder in path.glob(pattern) if is_run(folder))
    if not below:
        hint = ": it is a diagram, whose figure compares its runs" if (path / "diagram.json").exists() else ""
        raise UserError(f"{path} contains no run (summary.json, metrics.csv){hint}")
    return below


def group_runs(runs: Sequence[RunResults]) -> list[Group]:
    """Group runs that differ only in their seeds."""
    members: dict[str, list[RunResults]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for run in runs:
        own = {name: value for name, value in flatten(run.config).items() if not _is_no_setting(name)}
        own |= _changed_settings(run.path)
        # A folder without a configuration is its own group.
        key = value_text(own) if own else str(run.path)
        members.setdefault(key, []).append(run)
        settings[key] = own
    names = _names(settings, {key: group[0].path.name for key, group in members.items()})
    return [Group(names[key], tuple(group)) for key, group in members.items()]


def _changed_settings(path: Path) -> dict[str, str]:
    """What a run, or its parent if it is a fork, did with other settings at first, by the names of the settings."""
    record = RunFolder(path).settings_history
    found: dict[str, str] = {}
    try:
        first, *changes = json.loads(record.read_text()) if record.exists() else [{}]
        for entry in changes:
            since = f"from step {entry['from_step']}"
            for name, value in entry["settings"].items():
                before = found.get(name) or value_text(first["settings"][name])
                found[name] = f"{before}, {value_text(value)} {since}"
            if "parent" in entry and not entry["settings"]:
                found["fork"] = since
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise corrupt(record, "it is not a list of changed settings") from None
    return found


def _names(settings: dict[str, dict[str, Any]], folders: dict[str, str]) -> dict[str, str]:
    """Names of groups: the settings in which they differ, or their first run's folder if there are many."""
    if len(settings) == 1:
        return dict(folders)
    everything = dict.fromkeys(name for own in settings.values() for name in own)
    differing = [name for name in everything if len({value_text(own.get(name)) for own in settings.values()}) > 1]
    if not differing or len(differing) > MOST_DIFFERENCES:
        unique = len(set(folders.values())) == len(folders)
        return dict(folders) if unique else {key: f"{name} ({k + 1})" for k, (key, name) in enumerate(folders.items())}
    return {
        key: ", ".join(f"{'.'.join(name.split('.')[-2:])} {value_text(own[name])}" for name in differing if name in own)
        or folders[key]
        for key, own in settings.items()
    }


def _is_no_setting(name: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in NO_SETTINGS)


def _steps(value: Any) -> float:
    return math.inf if value is None else float(value)


def _column_of(run: RunResults, metric: str, threshold: float) -> str | None:
    """The name in a run's summary of its steps to exactly this threshold; None if it has none."""
    thresholds: dict[str, float | None] = {}
    if metric == "rqi":
        thresholds["steps_to_rqi"] = (run.options_of("RepresentationQuality") or {}).get("threshold")
    elif metric in ("train_accuracy", "val_accuracy"):
        which, options = metric.removesuffix("_accuracy"), run.options_of("PhaseTracker") or {}
        further = options.get("further_thresholds") or []
        names = (name for name in further_columns(further) if name.startswith(f"steps_to_{which}_"))
        thresholds |= dict(zip(names, further, strict=True))
        thresholds[f"steps_to_{which}"] = options.get(f"{which}_threshold")
        # With a window, a crossing from which the accuracy did not stay at its threshold is left out.
        if options.get("window"):
            return None
    # Without a step, the threshold may have been reached after the budget.
    return next(
        (name for name, at in thresholds.items() if at == threshold and run.summary.get(name) is not None), None
    )


def _first_step(run: RunResults, metric: str, threshold: float) -> float:
    if column := _column_of(run, metric, threshold):
        return float(run.summary[column])
    reached = run.metrics.step[run.metrics[metric] >= threshold]
    return float(reached.iloc[0]) if len(reached) else math.inf


def _in_common(runs: Sequence[RunResults]) -> str:
    shared = set.intersection(*({str(name) for name in run.metrics} for run in runs)) - {"step", "phase_name"}
    return f"all runs have {', '.join(sorted(shared))}" if shared else "the runs have no metric in common"
