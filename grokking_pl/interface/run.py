"""A run on disk as an object: outcome, metrics, embeddings and network."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch import LightningDataModule, LightningModule
from matplotlib.figure import Figure
from torch import nn

from grokking_pl.errors import UserError, reason_on_one_line
from grokking_pl.experiments import ExperimentBuilder
from grokking_pl.interface.notebook import table
from grokking_pl.metrics import Phase
from grokking_pl.plots.curves import accuracy_curves
from grokking_pl.report.run_results import Embeddings, RunResults, read_run
from grokking_pl.report.writing import write_report
from grokking_pl.runs import RunFolder, SafeCheckpointIO
from grokking_pl.sizes import Sizes
from grokking_pl.theory import Trajectories
from grokking_pl.training import GrokkingModule

SHOWN = ("phase", "steps_to_train", "steps_to_val", "train_accuracy", "val_accuracy", "steps", "seed", "status")
"""Entries of the outcome shown in a notebook."""


@dataclass(frozen=True)
class Run:
    """A run of `grok fit`, read lazily from its folder; use `reload` to read it again.

    Args:
        path: folder of the run.
    """

    path: Path

    @property
    def folder(self) -> RunFolder:
        """The paths of the run's files."""
        return RunFolder(self.path)

    @property
    def checkpoint(self) -> Path:
        """The path of the last checkpoint."""
        return self.folder.checkpoint

    @cached_property
    def _results(self) -> RunResults:
        return read_run(self.path)

    @property
    def summary(self) -> dict[str, Any]:
        """The outcome, as in ``summary.json``; empty until the run has ended."""
        return self._results.summary

    @property
    def metrics(self) -> pd.DataFrame:
        """All logged metrics, one row per step, ascending; as in ``metrics.csv``."""
        return self._results.metrics

    @property
    def config(self) -> dict[str, Any]:
        """The full configuration, as in ``config.yaml``."""
        return self._results.config

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings at the steps kept by the run.

        Raises:
            UserError: none were kept: the network has none, or ``EmbeddingSnapshots`` was not used.
        """
        snapshots = self._results.snapshots
        if snapshots is None:
            raise UserError(
                f"{self.path} has no embeddings: train a network that embeds symbols with the callback "
                "EmbeddingSnapshots"
            )
        return snapshots

    @property
    def trajectories(self) -> Trajectories | None:
        """Trajectories of theory and network, if the callback ``EffectiveTheory`` was used."""
        return self._results.trajectories

    def module(self, checkpoint: str | Path | None = None) -> LightningModule:
        """Load the module with the weights of a checkpoint, in evaluation mode on the CPU.

        Code in the file is never executed.

        Args:
            checkpoint: checkpoint file; None for the last one.

        Raises:
            UserError: there is no checkpoint, it is damaged, or it does not fit the run's configuration.
        """
        path = Path(checkpoint or self.checkpoint)
        module: LightningModule = self._parts()[0]
        loaded = SafeCheckpointIO().load_checkpoint(path, map_location="cpu", weights_only=True)
        if isinstance(module, GrokkingModule):
            module.build(Sizes(**loaded["sizes"]), loaded["class_targets"])
        else:
            module.configure_model()
        module.to(next((value.dtype for value in loaded["state_dict"].values() if value.is_floating_point()), None))
        try:
            module.load_state_dict(loaded["state_dict"])
        except RuntimeError as error:
            raise UserError(
                f"{path} does not fit {self.folder.config} ({reason_on_one_line(str(error))}): give a checkpoint "
                "of this run"
            ) from None
        module.eval()
        return module

    def network(self, checkpoint: str | Path | None = None) -> nn.Module:
        """Load the network with the weights of a checkpoint, in evaluation mode on the CPU; or your own module.

        Args:
            checkpoint: checkpoint file; None for the last one.

        Raises:
            UserError: as for `module`.
        """
        module: Any = self.module(checkpoint)
        network: nn.Module = getattr(module, "network", module)
        return network

    def data(self) -> LightningDataModule:
        """The data of the run after ``setup``: inputs, targets and the same split.

        Raises:
            UserError: the configuration has no data section, or the data cannot be created.
        """
        data: LightningDataModule | None = self._parts()[1]
        if data is None:
            raise UserError(f"{self.folder.config} has no data section: the module of this run brings its own data")
        data.prepare_data()
        data.setup("fit")
        return data

    def _parts(self) -> tuple[Any, Any]:
        config = self.config
        if not config.get("model"):
            raise UserError(f"{self.folder.config} has no model section or is missing: give a folder of grok fit")
        seed = config.get("seed_everything")
        experiment = ExperimentBuilder(data_required=False).instantiate(
            {name: config[name] for name in ("model", "data") if config.get(name)},
            seed if isinstance(seed, int) and seed is not False else 0,
        )
        return experiment.module, experiment.data

    def figure(self) -> Figure:
        """Draw both accuracies over steps, with the thresholds and the phase.

        Raises:
            UserError: no accuracies were logged, or the run has not ended.
        """
        names = ["step", "train_accuracy", "val_accuracy"]
        if not {*names} <= {*self.metrics}:
            raise UserError(f"{self.folder.metrics} has no train_accuracy and val_accuracy: train with PhaseTracker")
        if "phase" not in self.summary:
            raise UserError(f"{self.path} has no phase: the run has not ended; resume it with --ckpt_path last")
        steps, train, val = self.metrics[names].dropna().to_numpy().T
        thresholds = self._results.options_of("PhaseTracker") or {}
        return accuracy_curves(
            steps,
            train,
            val,
            self.summary.get("steps_to_train"),
            self.summary.get("steps_to_val"),
            (thresholds.get("train_threshold", 0.9), thresholds.get("val_threshold", 0.9)),
            Phase(self.summary["phase"]),
        )

    def report(self, output: str | Path | None = None) -> Path:
        """Write the run's interactive HTML report, and return its path.

        Args:
            output: output file; None for ``report.html`` in the folder.

        Raises:
            UserError: a file is corrupt, or the report cannot be written.
        """
        return write_report(self.path, None if output is None else Path(output))

    def reload(self) -> "Run":
        """The run, read again from its folder."""
        return Run(self.path)

    def __repr__(self) -> str:
        outcome = ", ".join(f"{name}={self.summary[name]!r}" for name in ("phase", "steps") if name in self.summary)
        return f"Run({str(self.path)!r}{', ' * bool(outcome)}{outcome})"

    def _repr_html_(self) -> str:
        return table({"run": self.path, **{name: self.summary[name] for name in SHOWN if name in self.summary}})
