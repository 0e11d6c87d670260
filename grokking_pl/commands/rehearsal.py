"""Checks of a sweep before its first run: paths, values and metrics that do not exist."""

import contextlib
import io
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from grokking_pl.commands.bundled import with_bundled
from grokking_pl.commands.fit import call_trainer
from grokking_pl.commands.named_files import check_named_files
from grokking_pl.errors import UserError
from grokking_pl.experiments import as_argument, flatten
from grokking_pl.experiments.settings import nearest
from grokking_pl.sweeps.distributions import distribution_of
from grokking_pl.sweeps.sweep_file import SweepFile

QUIET = ("--trainer.logger=[]", "--trainer.enable_progress_bar=false")


def rehearse(sweep: SweepFile, first: dict[str, Any]) -> None:
    """Check the names and values of all parameters, and train the first run for one step.

    Args:
        sweep: the sweep.
        first: parameters of its first run.

    Raises:
        UserError: a parameter does not exist, the first run cannot be trained, or it does not log the metric.
    """
    sweep = replace(sweep, arguments=with_bundled(sweep.arguments))
    check_named_files(sweep.arguments)
    names = set(flatten(configuration(sweep.arguments)))
    for path in sweep.parameters:
        _check_path(path, names)
    base = [as_argument(path, value) for path, value in first.items()]
    for path, value in _listed_values(sweep):
        configuration([*sweep.arguments, *base, as_argument(path, value)])
    recorded = _one_step([*sweep.arguments, *base])
    if sweep.metric is not None and sweep.metric not in recorded:
        raise UserError(f"no run logs the metric {sweep.metric}{nearest(sweep.metric, recorded)}")


def configuration(arguments: list[str]) -> dict[str, Any]:
    """All settings of ``grok fit`` with these arguments; an invalid one ends the program with one line."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            call_trainer(["fit", *arguments, "--print_config"])
    except SystemExit as left:
        if left.code:
            raise
    config: dict[str, Any] = yaml.safe_load(printed.getvalue())
    return config


def _listed_values(sweep: SweepFile) -> list[tuple[str, Any]]:
    """All values listed in the sweep and the ends of its ranges, each with its path."""
    values: list[tuple[str, Any]] = []
    for path, spec in sweep.parameters.items():
        if (distribution_of(spec) or "").startswith("categorical"):
            values += [(path, value) for value in spec["values"]]
        elif distribution_of(spec) in ("int_uniform", "uniform", "log_uniform_values"):
            values += [(path, spec["min"]), (path, spec["max"])]
    return values


def _check_path(path: str, names: set[str]) -> None:
    groups = {".".join(name.split(".")[:length]) for name in names for length in range(1, name.count(".") + 1)}
    # List elements are names in the configuration, but not options of the command line.
    options = {name for name in names | groups if not any(part.isdigit() for part in name.split("."))}
    if path not in options:
        raise UserError(f"the sweep's parameter {path} is in no configuration{nearest(path, options)}")


def _one_step(arguments: list[str]) -> set[str]:
    """Train for one step, and return the names of all logged and summary values."""
    environment = dict(os.environ)
    silence = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        single = (
            f"--run_dir={folder}/run", "--trainer.max_steps=1", "--trainer.min_steps=null", "--trainer.min_epochs=null",
            "--trainer.devices=1", "--trainer.num_nodes=1",
        )  # fmt: skip
        try:
            with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
                call_trainer(["fit", *arguments, *QUIET, *single])
        except SystemExit:
            lines = silence.getvalue().strip().splitlines()
            raise UserError(lines[-1].removeprefix("grok: error: ") if lines else "the first run ends early") from None
        finally:
            os.environ.clear()
            os.environ.update(environment)
        metrics = Path(folder, "run/metrics.csv")
        logged = metrics.read_text().partition("\n")[0].split(",") if metrics.exists() else []
        return {*logged, *json.loads(Path(folder, "run/summary.json").read_text())}
