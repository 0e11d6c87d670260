"""``grok fit``, ``validate``, ``test`` and ``predict``: a LightningCLI whose runs live in folders."""

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.trainer import Trainer

from grokking_pl.callbacks import LossMonitor, RunCheckpoint, RunProgress, RunRecorder
from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.parser import GrokParser, quieten
from grokking_pl.errors import UserError
from grokking_pl.experiments import Experiment, flatten
from grokking_pl.runs import CSVMetrics, RunFolder, SafeCheckpointIO, WandbRun
from grokking_pl.runs.lost_process import let_first_process_finish, watch_processes
from grokking_pl.runs.naming import WandbSweepRun
from grokking_pl.runs.slurm import is_requeued
from grokking_pl.training.lightning_internals import NoProfiler, leave_out_empty_hooks

RUNS = Path("runs")


def run(words: list[str]) -> None:
    """Run one of the trainer's commands."""
    quieten()
    watch_processes()
    try:
        GrokCLI(words)
    except Exception:
        let_first_process_finish()
        raise


class GrokCLI(LightningCLI):
    """LightningCLI with a folder for each run.

    Args:
        arguments: the command and its options.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._command = arguments[0]
        self.folder = RunFolder(RUNS)
        super().__init__(
            args=arguments,
            parser_class=GrokParser,
            save_config_callback=RecordConfig,
            save_config_kwargs={"save_to_log_dir": False},
            seed_everything_default=0,
            auto_configure_optimizers=False,
            trainer_defaults={
                "max_steps": 10_000,
                "log_every_n_steps": 100,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "use_distributed_sampler": False,
            },
            parser_kwargs={
                "prog": "grok",
                self._command: {
                    "usage": f"grok {self._command} --config FILE [--key value ...]",
                    "description": COMMANDS[self._command].about,
                },
            },
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Only the command at hand: building every command's parser would take seconds."""
        return {self._command: LightningCLI.subcommands()[self._command]}

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the command line."""
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration as it is: one that does not fit the checkpoint is an error."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder."""
        parser.add_argument(
            "--run_dir",
            type=Path | None,
            default=None,
            help="Folder of the run; by default runs/ and the name of the first configuration file.",
        )

    def before_instantiate_classes(self) -> None:
        """Find the run's folder and checkpoint, and fail before any work if they are not as they should be."""
        config = self.config[self._command]
        strategy = getattr(config.trainer.strategy, "class_path", config.trainer.strategy)
        if re.search("fsdp|deepspeed|modelparallel", str(strategy).lower().replace("_", "")):
            raise UserError(
                f"the strategy {strategy} splits a network that is too large for one device, which those of this "
                "project are not: use ddp, for which every process holds the whole network"
            )
        self.folder = RunFolder(Path(config.run_dir or self._default_run_dir(config)))
        config.run_dir = self.folder.path
        config.trainer.default_root_dir = str(self.folder.path)
        if config.ckpt_path == "auto" or (config.ckpt_path is None and self._command == "fit" and is_requeued()):
            config.ckpt_path = "last" if self.folder.holds_unfinished() else None
        if config.ckpt_path == "last":
            config.ckpt_path = str(self.folder.checkpoint)
        if config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
            raise UserError(f"the checkpoint {config.ckpt_path} does not exist: is --run_dir {self.folder.path} right?")
        if self._command == "fit" and not config.trainer.fast_dev_run:
            self.folder.claim(resuming=config.ckpt_path is not None)
        self._resume_step = None
        if config.ckpt_path is not None:
            checkpoint = SafeCheckpointIO().load_checkpoint(config.ckpt_path, map_location="cpu")
            self._resume_step = checkpoint.get("global_step", 0)

    def _default_run_dir(self, config: Any) -> Path:
        files = [str(file) for file in config.config or []]
        sweep_run = WandbSweepRun.of_this_process()
        if sweep_run and self._command == "fit":
            return RUNS / sweep_run.folder
        if not files and config.ckpt_path not in (None, "last"):
            raise UserError("say the run's folder with --run_dir")
        return RUNS / (Path(files[0]).stem if files else "fit")

    def instantiate_classes(self) -> None:
        """Make module, data and trainer, and give the first two the seed of the run."""
        super().instantiate_classes()
        seed = self.config[self._command].seed_everything
        # Lightning has put a number in place of true; false leaves the choice of seed to nobody.
        Experiment(self.model, self.datamodule, seed if isinstance(seed, int) and seed is not False else 0)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add what every run has: its loggers, checkpoints, progress, and records."""
        config = self.config_init[self._command].trainer
        plugins = [*as_list(config.plugins), SafeCheckpointIO()]
        if self._command != "fit":
            return super().instantiate_trainer(logger=False, enable_checkpointing=False, plugins=plugins, **kwargs)
        kwargs.setdefault("profiler", config.profiler or NoProfiler())
        callbacks = as_list(config.callbacks)
        callbacks[:0] = [
            kind() for kind in (LossMonitor, RunRecorder) if not any(isinstance(c, kind) for c in callbacks)
        ]
        if (
            not any(isinstance(callback, ProgressBar) for callback in callbacks)
            and config.enable_progress_bar is not False
        ):
            callbacks.append(RunProgress())
        if (
            not any(isinstance(callback, RunCheckpoint) for callback in callbacks)
            and config.enable_checkpointing is not False
        ):
            callbacks.append(RunCheckpoint())
        for callback in callbacks:
            leave_out_empty_hooks(callback, Callback)
        return super().instantiate_trainer(
            logger=self._loggers(config.logger), callbacks=callbacks, plugins=plugins, **kwargs
        )

    def _loggers(self, configured: Any) -> list[Logger]:
        if configured is False:
            return []
        loggers = [] if configured in (None, True) else as_list(configured)
        if configured in (None, True):
            loggers = [
                TensorBoardLogger(str(self.folder.path), name="", version="tensorboard", default_hp_metric=False)
            ]
        for logger in loggers:
            if isinstance(logger, WandbRun):
                logger.put_in(self.folder.path)
        return [CSVMetrics(self.folder.metrics, self._resume_step), *loggers]

    def before_fit(self) -> None:
        """Say what will run."""
        leave_out_empty_hooks(self.model, LightningModule)
        if self.trainer.is_global_zero:
            print(f"run folder {self.folder.path}, seed {self.config.fit.seed_everything}", file=sys.stderr)

    def predict(self, **kwargs: Any) -> None:
        """Predict, and write a row a sample: its number and the predicted class."""
        batches = self.trainer.predict(**kwargs)
        rows = [value.tolist() for batch in batches or [] for value in batch]
        self.folder.path.mkdir(parents=True, exist_ok=True)
        path = self.folder.path / "predictions.csv"
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sample", "prediction"])
            writer.writerows(enumerate(rows))
        print(f"{len(rows)} predictions in {path}")


class _Built(Exception):
    """The parser is there, and nothing is to be run."""


class _ParserAlone(GrokCLI):
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        raise _Built(parser)


def build_parser(name: str) -> LightningArgumentParser:
    """The options of one of the trainer's commands."""
    try:
        _ParserAlone([name])
    except _Built as built:
        return built.args[0]._subcommands_action._name_parser_map[name]
    raise AssertionError("a parser is always built")


def as_list(value: Any) -> list[Any]:
    """A configuration's null, single value or list as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


class RecordConfig(SaveConfigCallback):
    """Saves the full configuration in the run folder and sends it, flat, to the loggers."""

    def save_config(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Write ``config.yaml`` and log every hyperparameter under the name it has on the command line."""
        if stage != "fit":
            return
        folder = RunFolder(Path(trainer.default_root_dir))
        self.parser.save(self.config, folder.config, skip_none=False, overwrite=True, multifile=False)
        text = self.parser.dump(self.config, skip_none=False, format="json")
        flat = flatten(json.loads(text))
        for logger in trainer.loggers:
            logger.log_hyperparams(flat)
