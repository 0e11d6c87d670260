"""A run rebuilt from its folder, finished or not: module, data, and kept weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.experiments import ExperimentBuilder
from grokking_pl.runs import RunFolder, SafeCheckpointIO
from grokking_pl.runs.kept_checkpoints import KeptCheckpoints
from grokking_pl.runs.weight_snapshots import WeightSnapshots

NETWORK = "network."
"""Prefix of the network's weights in a checkpoint."""

Weights = Callable[[], Mapping[str, Tensor]]
"""Reads the weights of a step, by their names in the network."""


class OldRun:
    """A run rebuilt from its folder.

    Args:
        folder: folder of the run.

    Attributes:
        module: module, whose network has the initial weights of its seed.
        data: datamodule, set up.
        weights: readers of the weights by step, ascending.

    Raises:
        UserError: the folder contains no run, its configuration cannot be built, or only the last weights were kept.
    """

    def __init__(self, folder: RunFolder) -> None:
        settings = _settings(folder)
        self.weights = kept_weights(folder)
        seed = settings.get("seed_everything")
        builder = ExperimentBuilder()
        parts = {name: settings[name] for name in ("model", "data")}
        experiment = builder.instantiate(builder.complete(parts), seed if type(seed) is int else 0)
        if not hasattr(experiment.module, "build"):
            kind = type(experiment.module).__name__
            raise UserError(f"{folder.path} is a run of {kind}, but only runs of GrokkingModule can be measured")
        experiment.build()
        self.module, self.data = experiment.module, experiment.data

    def is_double(self) -> bool:
        """Whether the weights are in double precision."""
        first = self.weights[min(self.weights)]()
        return any(value.dtype == torch.float64 for value in first.values())

    def load(self, step: int) -> None:
        """Load the weights of a step into the network, in their precision.

        Raises:
            UserError: they belong to another network, or cannot be read.
        """
        weights = self.weights[step]()
        floating = [value.dtype for value in weights.values() if value.is_floating_point()]
        if floating:
            self.module.to(floating[0])
        try:
            self.module.network.load_state_dict(dict(weights))
        except RuntimeError as error:
            reason = " ".join(str(error).split(":", 1)[-1].split())[:200]
            raise UserError(f"the weights of step {step} do not fit the network of config.yaml: {reason}") from None


def kept_weights(folder: RunFolder) -> dict[int, Weights]:
    """Readers of the weights by step, ascending: kept checkpoints, weight snapshots, and the last checkpoint.

    Raises:
        UserError: there are only the last weights.
    """
    kept = KeptCheckpoints(folder.checkpoint.parent)
    snapshots = WeightSnapshots(folder.weights)
    sources: dict[int, Weights] = {}
    for step in snapshots.steps():
        sources[step] = lambda step=step: snapshots.read(step)  # type: ignore[misc]
    for step in kept.steps():
        sources[step] = lambda step=step: _of_checkpoint(kept.file(step))[1]  # type: ignore[misc]
    if not sources:
        raise UserError(
            f"{folder.path} keeps no checkpoints but its last: train with --trainer.callbacks+=RunCheckpoint "
            "--trainer.callbacks.keep=log (or all, or a number of steps) to keep more"
        )
    if folder.checkpoint.exists():
        step = _of_checkpoint(folder.checkpoint)[0]
        sources.setdefault(step, lambda: _of_checkpoint(folder.checkpoint)[1])
    return dict(sorted(sources.items()))


def _of_checkpoint(path: Path) -> tuple[int, dict[str, Tensor]]:
    """Read step and weights of a checkpoint."""
    checkpoint = SafeCheckpointIO().load_checkpoint(path, map_location="cpu")
    state, step = checkpoint.get("state_dict"), checkpoint.get("global_step")
    if not isinstance(state, Mapping) or not isinstance(step, int):
        raise UserError(f"{path} is damaged: delete it to measure the others")
    return step, {name.removeprefix(NETWORK): value for name, value in state.items() if name.startswith(NETWORK)}


def _settings(folder: RunFolder) -> dict[str, Any]:
    if not folder.config.is_file():
        raise UserError(f"{folder.path} contains no run: give the folder of a run, with its config.yaml")
    try:
        settings = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        settings = None
    if not isinstance(settings, dict) or not {"model", "data"} <= settings.keys():
        raise UserError(f"{folder.config} has no sections model and data: restore it from a copy")
    return settings
