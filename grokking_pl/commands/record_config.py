"""The record of a run's configuration: ``config.yaml``, which repeats the run, and flat names for the loggers."""

import json
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from grokking_pl.experiments import flatten
from grokking_pl.runs import RunFolder
from grokking_pl.runs.files import write_atomically, writing


class RecordConfig(SaveConfigCallback):
    """Saves the full configuration in the run folder and sends it, flat, to the loggers."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write ``config.yaml`` and log every hyperparameter under the name it has on the command line."""
        if stage != "fit" or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        path = RunFolder(Path(trainer.default_root_dir)).config
        with writing(path, "make room, or choose another folder with --run_dir"):
            write_atomically(path, configuration(self.parser, self.config, "yaml"))
        hyperparameters = flatten(json.loads(configuration(self.parser, self.config, "json")))
        for logger in trainer.loggers:
            logger.log_hyperparams(hyperparameters)


def configuration(parser: LightningArgumentParser, config: Any, form: str) -> str:
    """All settings of a run, so that they repeat it: from its beginning, whatever checkpoint it was resumed from."""
    config = config.clone()
    config.ckpt_path = None
    text: str = parser.dump(config, skip_none=False, format=form)
    return text
