"""The record of a run's configuration: ``config.yaml``, which repeats the run, and flat names for the loggers."""

import json
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from grokking_pl.experiments import flatten
from grokking_pl.runs import RunFolder


class RecordConfig(SaveConfigCallback):
    """Saves the full configuration in the run folder and sends it, flat, to the loggers."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write ``config.yaml`` and log every hyperparameter under the name it has on the command line."""
        if stage != "fit":
            return
        folder = RunFolder(Path(trainer.default_root_dir))
        self.parser.save(self.config, folder.config, skip_none=False, overwrite=True, multifile=False)
        hyperparameters = flatten(json.loads(self.parser.dump(self.config, skip_none=False, format="json")))
        for logger in trainer.loggers:
            logger.log_hyperparams(hyperparameters)
