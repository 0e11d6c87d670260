"""Names of runs that tell their parameters, and what W&B's agent says of the run that it started."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

LONGEST = 160
"""Characters of a name: file systems take 255, of which a prefix and an ending need some."""


OPERATORS = str.maketrans({"*": "×", "/": "÷"})
"""Operators that no folder's name can hold, as signs that are no other operator's."""


def run_name(parameters: Mapping[str, Any]) -> str:
    """A name, fit for a folder, of a run's parameters: each by its last two words, or more if another ends with them.

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
    """A run that W&B's agent started.

    Args:
        sweep: W&B's name of the sweep.
        run: W&B's name of the run.
        parameters: the hyperparameters that the sweep sets, by their path on the command line.
    """

    sweep: str
    run: str
    parameters: dict[str, Any]

    @classmethod
    def of_this_process(cls) -> "WandbSweepRun | None":
        """The run that this process, or any other of the same training, was started for; None if by no agent."""
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
        """The name under which W&B shows the run."""
        return run_name(self.parameters) or self.run

    @property
    def folder(self) -> Path:
        """The run's folder below that of all runs."""
        return (
            Path("sweeps") / self.sweep / (f"{run_name(self.parameters)}_{self.run}" if self.parameters else self.run)
        )
