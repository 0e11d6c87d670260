"""A run rebuilt from its folder, finished or not: module, data, and kept weights."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from jaxtyping import Float
from torch import Tensor

from grokking_pl.errors import UserError, reason_on_one_line
from grokking_pl.experiments import ExperimentBuilder
from grokking_pl.runs import RunFolder, SafeCheckpointIO
from grokking_pl.runs.kept_checkpoints import KeptCheckpoints
from grokking_pl.runs.weight_snapshots import WeightSnapshots
from grokking_pl.training.other_weights import weights_with

NETWORK = "network."
"""Prefix of the network's weights in a checkpoint."""

HOW_TO_KEEP = (
    "train with --trainer.callbacks+=RunCheckpoint --trainer.callbacks.keep=log (or all, or a number of steps) to keep "
    "more"
)

Weights = Callable[[], Mapping[str, Tensor]]
"""Reads the weights of a step, by their names in the network."""


class OldRun:
    """A run rebuilt from its folder.

    Args:
        folder: folder of the run.

    Attributes:
        module: module, whose network has the initial weights of its seed.
        data: datamodule, set up.
        weights: readers of the weights by step, ascending; empty if only the last weights were kept.
        embeddings: embeddings kept by ``EmbeddingSnapshots``, by step, ascending.
        watched_by: class names of the callbacks used in training.

    Raises:
        UserError: the folder contains no run, its configuration cannot be built, or a file is damaged.
    """

    def __init__(self, folder: RunFolder) -> None:
        settings = _settings(folder)
        self.folder = folder
        self.weights = kept_weights(folder)
        self.embeddings = kept_embeddings(folder)
        callbacks = (settings.get("trainer") or {}).get("callbacks") or []
        self.watched_by = {str(one.get("class_path")).rsplit(".", 1)[-1] for one in callbacks if isinstance(one, dict)}
        seed = settings.get("seed_everything")
        builder = ExperimentBuilder()
        parts = {name: settings[name] for name in ("model", "data")}
        experiment = builder.instantiate(builder.complete(parts), seed if type(seed) is int else 0)
        if not hasattr(experiment.module, "build"):
            kind = type(experiment.module).__name__
            raise UserError(f"{folder.path} is a run of {kind}, but only runs of GrokkingModule can be measured")
        experiment.build()
        self.module, self.data = experiment.module, experiment.data

    def steps(self, of_embeddings: bool) -> list[int]:
        """The steps with kept weights, and also those with kept embeddings if ``of_embeddings``; ascending."""
        return sorted({*self.weights, *(self.embeddings if of_embeddings else ())})

    def is_double(self) -> bool:
        """Whether the weights are in double precision."""
        if not self.weights:
            return any(values.dtype == torch.float64 for values in self.embeddings.values())
        first = self.weights[min(self.weights)]()
        return any(value.dtype == torch.float64 for value in first.values())

    def load(self, step: int) -> None:
        """Load the weights of a step into the network, in their precision; only its embeddings if weights are missing.

        Raises:
            UserError: they belong to another network, or cannot be read.
        """
        network = self.module.network
        if step not in self.weights:
            embeddings = self.embeddings[step]
            self.module.to(embeddings.dtype)
            own = self.module.representation.embeddings.shape
            if embeddings.shape != own:
                raise UserError(
                    f"the embeddings of step {step} have the shape {tuple(embeddings.shape)}, those of the network in "
                    f"config.yaml {tuple(own)}: {self.folder.path / SNAPSHOTS} is of another run"
                )
            network.load_state_dict(weights_with(network, embeddings), strict=False)
            return
        weights = self.weights[step]()
        floating = [value.dtype for value in weights.values() if value.is_floating_point()]
        if floating:
            self.module.to(floating[0])
        try:
            network.load_state_dict(dict(weights))
        except RuntimeError as error:
            reason = reason_on_one_line(str(error).split(":", 1)[-1])
            raise UserError(f"the weights of step {step} do not fit the network of config.yaml: {reason}") from None


SNAPSHOTS = "embeddings.npz"
"""Name of the file of kept embeddings in a run folder."""


def kept_weights(folder: RunFolder) -> dict[int, Weights]:
    """Readers of the weights by step, ascending: kept checkpoints, weight snapshots, and the last checkpoint.

    Empty if there is only the last one.
    """
    kept = KeptCheckpoints(folder.checkpoint.parent)
    snapshots = WeightSnapshots(folder.weights)
    sources: dict[int, Weights] = {}
    for step in snapshots.steps():
        sources[step] = lambda step=step: snapshots.read(step)  # type: ignore[misc]
    for step in kept.steps():
        sources[step] = lambda step=step: _of_checkpoint(kept.file(step))[1]  # type: ignore[misc]
    if sources and folder.checkpoint.exists():
        step = _of_checkpoint(folder.checkpoint)[0]
        sources.setdefault(step, lambda: _of_checkpoint(folder.checkpoint)[1])
    return dict(sorted(sources.items()))


def kept_embeddings(folder: RunFolder) -> dict[int, Float[Tensor, "p d"]]:
    """The embeddings of the run's snapshots by step, ascending; empty if there are none.

    Raises:
        UserError: the file is damaged.
    """
    path = folder.path / SNAPSHOTS
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            steps, embeddings = file["steps"].tolist(), torch.from_numpy(file["embeddings"])
        return dict(sorted(zip(map(int, steps), embeddings, strict=True)))
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        raise UserError(f"{path} is damaged: move it away to measure the kept checkpoints alone") from None


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
