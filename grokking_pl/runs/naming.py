"""Run names from parameters, and runs started by W&B's agent."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

LONGEST = 160
"""Most characters of a name: file systems allow 255, and a prefix and a suffix need some."""


OPERATORS = str.maketrans({"*": "×", "/": "÷"})
"""Replacements for operators that cannot be in a folder name."""


def run_name(parameters: Mapping[str, Any]) -> str:
    """A folder name from a run's parameters, each by its last two words, or by more if ambiguous.

    >>> run_name({"model.decoder.lr": 1e-4, "model.embeddings.lr": 0.01, "seed_everything": 3})
    'decoder.lr=0.0001,embeddings.lr=0.01,seed_everything=3'
    """
    words = [f"{_shortest(path, list(parameters))}={_value(value)}" for path, value in parameters.items()]
    return re.sub(r"[^\w.,=+×÷-]+", "-", ",".join(words).translate(OPERATORS))[:LONGEST]


def _shortest(path: str, paths: list[str]) -> str:
    parts = path.split(".")
    for length in range(2, len(parts)):
        ending = ".".join(parts[-length:])
        if sum(f".{other}".endswith(f".{ending}") for other in paths) == 1:
            return ending
    return path


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return value.rsplit(".", 1)[-1] if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value) else value
    return json.dumps(value, separators=(",", "="))


@dataclass(frozen=True)
class WandbSweepRun:
    """A run started by W&B's agent.

    Args:
        sweep: W&B's name of the sweep.
        run: W&B's name of the run.
        parameters: hyperparameters set by the sweep, by their path on the command line.
    """

    sweep: str
    run: str
    parameters: dict[str, Any]

    @classmethod
    def of_this_process(cls) -> "WandbSweepRun | None":
        """The run for which this process, or another one of the same training, was started; None without an agent."""
        sweep, run = os.environ.get("WANDB_SWEEP_ID"), os.environ.get("WANDB_RUN_ID")
        if not sweep or not run:
            return None
        try:
            given = yaml.safe_load(Path(os.environ["WANDB_SWEEP_PARAM_PATH"]).read_text())
        except (KeyError, OSError):
            given = {}
        return cls(sweep, run, {name: entry["value"] for name, entry in given.items() if isinstance(entry, dict)})

    @property
    def name(self) -> str:
        """The run's name in W&B."""
        return run_name(self.parameters) or self.run

    @property
    def folder(self) -> Path:
        """The run's folder, relative to that of all runs."""
        return (
            Path("sweeps") / self.sweep / (f"{run_name(self.parameters)}_{self.run}" if self.parameters else self.run)
        )
