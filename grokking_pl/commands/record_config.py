"""The record of a run's configuration: ``config.yaml``, which repeats the run, and flat names for the loggers."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from grokking_pl.commands.resuming import RECORD
from grokking_pl.experiments import flatten
from grokking_pl.runs import RunFolder
from grokking_pl.runs.files import write_atomically, writing


class RecordConfig(SaveConfigCallback):
    """Saves the full configuration in the run folder and in checkpoints, and logs it with flat names."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save nothing yet: the callbacks have not checked the network and the data."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the configuration, after the other callbacks' checks."""
        super().setup(trainer, pl_module, "fit")

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Log every hyperparameter under its command line name, and write the file of a new run."""
        if stage != "fit" or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if self.config.ckpt_path is None:
            self._write(trainer)
        if trainer.enable_autolog_hparams:
            hyperparameters = flatten(json.loads(self._settings))
            for logger in trainer.loggers:
                logger.log_hyperparams(hyperparameters)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file of a resumed run, once its checkpoint fits."""
        if self.config.ckpt_path is not None and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        path = RunFolder(Path(trainer.default_root_dir)).config
        with writing(path, "make room, or choose another folder with --run_dir"):
            write_atomically(path, configuration(self.parser, self.config, "yaml"))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the settings in every checkpoint."""
        checkpoint[RECORD] = self._settings

    @cached_property
    def _settings(self) -> str:
        return configuration(self.parser, self.config, "json")


def configuration(parser: LightningArgumentParser, config: Any, form: str) -> str:
    """All settings of a run, which repeat it from its beginning, even if it was resumed.

    Only ``run_dir`` contains the run's folder, so that it can be changed.
    """
    config = config.clone()
    config.ckpt_path = config.trainer.default_root_dir = None
    text: str = parser.dump(config, skip_none=False, format=form)
    return text
