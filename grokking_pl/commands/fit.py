"""``grok fit``, ``validate``, ``test`` and ``predict``: a LightningCLI whose runs live in folders."""

import argparse
import json
import re
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jsonargparse import Namespace, capture_parser
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger

from grokking_pl.commands.callbacks_by_name import TrainerParser
from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.changed_settings import SettingsHistory, history_of
from grokking_pl.commands.failure import ctrl_c_is_heard
from grokking_pl.commands.finished import leave_if_finished
from grokking_pl.commands.fork import Fork, check_same_fork, read_fork, with_parents_config
from grokking_pl.commands.greeting import Greeting
from grokking_pl.commands.predictions import check_not_written, write_predictions
from grokking_pl.commands.quiet import quieten
from grokking_pl.commands.record_config import RecordConfig, configuration
from grokking_pl.commands.resuming import check_settings, note_on_measuring, recorded_settings
from grokking_pl.commands.standard_callbacks import as_list, with_standard_callbacks
from grokking_pl.commands.trainer_options import check_trainer_options
from grokking_pl.commands.trainer_values import check_trainer_values, check_with_data, trainer_errors
from grokking_pl.errors import UserError
from grokking_pl.experiments import Experiment
from grokking_pl.runs import CSVMetrics, RunFolder, SafeCheckpointIO, WandbRun
from grokking_pl.runs.error_log import kept_traceback
from grokking_pl.runs.files import FolderLock, remove_temporary_files
from grokking_pl.runs.job import is_first_process
from grokking_pl.runs.naming import WandbSweepRun
from grokking_pl.runs.resumable import check_checkpoint, check_files, check_weights
from grokking_pl.runs.slurm import is_requeued
from grokking_pl.training.lightning_internals import NoProfiler, check_restored_checkpoint, leave_out_empty_hooks
from grokking_pl.training.lost_process import ending_together

RUNS = Path("runs")
TENSORBOARD = "tensorboard"

TRAINER_DEFAULTS = {
    "max_steps": 10_000,
    "log_every_n_steps": 100,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
}


def run(words: list[str]) -> None:
    """Run one of the trainer's commands."""
    quieten()
    call_trainer(words)


def call_trainer(words: list[str]) -> None:
    """Build module, data and trainer from a command and its options, and run the command."""
    words = with_parents_config(words)
    with ExitStack() as until_done:
        with ctrl_c_is_heard():
            cli = GrokCLI(words[0], words[1:], until_done)
        cli.call_trainer()


def build_parser(name: str) -> LightningArgumentParser:
    """The options of one of the trainer's commands."""
    return capture_parser(call_trainer, [name])  # type: ignore[return-value]


class GrokCLI(LightningCLI):
    """LightningCLI for one command, with a folder per run.

    Args:
        command: fit, validate, test or predict.
        arguments: options of the command.
        until_done: keeps the lock of the run's folder.
    """

    def __init__(self, command: str, arguments: list[str], until_done: ExitStack) -> None:
        self._command = command
        self._words = arguments
        self._until_done = until_done
        self._lock: FolderLock | None = None
        super().__init__(
            args=arguments,
            run=False,
            parser_class=TrainerParser,
            parser_kwargs={
                "prog": f"grok {command}",
                "usage": f"grok {command} --config FILE [--key value ...]",
                "description": COMMANDS[command].about,
            },
            save_config_callback=RecordConfig,
            save_config_kwargs={"save_to_log_dir": False},
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            auto_configure_optimizers=False,
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "GrokCLI":
        """Return self: modules refer to the CLI through their architecture, and callbacks may copy modules."""
        return self

    # The command line.

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder, and further arguments of the trainer's method."""
        parser.add_argument(
            "--run_dir",
            type=Path | None,
            default=None,
            help="Folder of the run; by default runs/ plus the name of the first configuration file.",
        )
        about = (
            "Start from the checkpoint of another run, RUN or RUN@STEP, with other settings; see the page on resuming. "
            "Without --config, the other run's is used."
        )
        # A fork's configuration has this option, also when its network is measured.
        fitting = self._command == "fit"
        parser.add_argument("--fork", type=str | None, default=None, help=about if fitting else argparse.SUPPRESS)
        objects = LightningCLI.subcommands()[self._command]
        # Predictions are always returned, because they are written.
        skipped = {*objects, "return_predictions"}
        self._method_arguments = parser.add_method_arguments(Trainer, self._command, skip=skipped)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the command line."""
        self.config = parser.parse_args(args)
        check_trainer_values(self.config)

    # The run's folder and checkpoint.

    def before_instantiate_classes(self) -> None:
        """Find the run's folder and checkpoint, and fail before any work if they are invalid."""
        config, fitting = self.config, self._command == "fit"
        refuse_split_networks(config.trainer.strategy)
        check_trainer_options(config.trainer, config.data and config.data.class_path, self._command)
        self.folder = RunFolder(Path(config.run_dir or default_run_dir(config, fitting)))
        config.run_dir = self.folder.path
        config.trainer.default_root_dir = str(self.folder.path)
        config.ckpt_path = chosen_checkpoint(config.ckpt_path, self.folder, fitting)
        fork = self._fork_to_begin_from() if fitting else None
        writing = fitting and not config.trainer.fast_dev_run
        if writing:
            self._lock = FolderLock(self.folder.path, "--run_dir", is_first_process())
            self._until_done.enter_context(self._lock)
            if config.ckpt_path is None or fork:
                self.folder.check_free()
            if is_first_process():
                remove_temporary_files(self.folder.path)
        if self._command == "predict" and not config.trainer.fast_dev_run:
            check_not_written(self.folder.predictions)
        self._resume_step = None
        self._earlier_metrics: Path | None = None
        self._history: SettingsHistory | None = None
        if config.ckpt_path is not None:
            self._check_checkpoint(Path(config.ckpt_path), writing, fork)
        if writing:
            self._until_done.enter_context(kept_traceback(self.folder.path))

    def _fork_to_begin_from(self) -> Fork | None:
        """The starting point of a new fork, whose checkpoint is then the other run's; else None."""
        config = self.config
        if config.fork is None or config.ckpt_path is not None:
            return None
        if not any(word.partition("=")[0] == "--run_dir" for word in self._words):
            raise UserError(f"--fork {config.fork} begins a run of its own: say its folder with --run_dir")
        fork = read_fork(config.fork)
        config.ckpt_path = str(fork.checkpoint())
        return fork

    def _check_checkpoint(self, path: Path, writing: bool, fork: Fork | None) -> None:
        """Check that the checkpoint can be used, for a fit with the same settings and in its own folder."""
        config = self.config
        checkpoint = SafeCheckpointIO().load_checkpoint(path, map_location="cpu", weights_only=config.weights_only)
        given = json.loads(configuration(self.parser, config, "json"))
        if self._command != "fit":
            note = note_on_measuring(checkpoint, path, given)
            if note and is_first_process():
                print(f"grok: {note}", file=sys.stderr)
            return
        check_checkpoint(checkpoint, path)
        self._resume_step = checkpoint["global_step"]
        is_own = self.folder.path.resolve() in path.resolve().parents
        if is_own and not fork:  # the record keeps what it was forked from
            recorded = (recorded_settings(checkpoint, path) or {}).get("fork")
            if config.fork is not None:
                check_same_fork(config.fork, recorded, self.folder.path)
            config.fork = recorded
        changes = check_settings(checkpoint, path, given, self._words, fork)
        step: int = checkpoint["global_step"]
        if fork and 0 <= config.trainer.max_steps <= step:
            raise UserError(
                f"the fork begins at step {step}, and trainer.max_steps is {config.trainer.max_steps}: give more"
            )
        parent = f"{fork.parent.path}@{step}" if fork else None
        config.fork = parent or config.fork
        self._history = SettingsHistory(history_of(checkpoint, path), changes, step, parent)
        if not writing:
            return
        if fork:
            self._earlier_metrics = fork.parent.metrics
        leave_if_finished(self.folder, checkpoint, config, configuration(self.parser, config, "yaml"), changes)
        if is_first_process():
            check_weights(RunFolder(path.resolve().parent.parent))
            if fork:
                check_files(fork.parent)
            if is_own:
                self.folder.check_not_rewound(path)
                check_files(self.folder)
                if config.trainer.logger is not False and not self.folder.metrics.exists():
                    print(f"{self.folder.metrics} is missing: the metrics begin anew at step {step}", file=sys.stderr)
            else:
                self.folder.check_empty()

    # Module, data and trainer.

    def instantiate_classes(self) -> None:
        """Build module, data and trainer, and give the first two the run's seed."""
        super().instantiate_classes()
        check_with_data(self.config_init.trainer, self.model, self.datamodule)
        seed = self.config.seed_everything
        # Lightning has replaced true by a number; false means no seed.
        Experiment(self.model, self.datamodule, seed if isinstance(seed, int) and seed is not False else 0)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add every run's loggers, checkpoints, progress and records."""
        config = self.config_init.trainer
        kwargs["plugins"] = [*as_list(config.plugins), SafeCheckpointIO()]
        if self._command != "fit":
            watching = [callback for callback in as_list(config.callbacks) if not isinstance(callback, Checkpoint)]
            with trainer_errors(config):
                trainer = super().instantiate_trainer(
                    logger=False, enable_checkpointing=False, callbacks=watching, **kwargs
                )
            check_restored_checkpoint(trainer)
            return trainer
        kwargs.setdefault("profiler", config.profiler or NoProfiler())
        where = "a trial, of which nothing is written" if config.fast_dev_run else f"run folder {self.folder.path}"
        greeting = Greeting(where, self.config.seed_everything)
        callbacks = [*with_standard_callbacks(config), *([self._history] if self._history else []), greeting]
        for callback in callbacks:
            leave_out_empty_hooks(callback, Callback)
            if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
                callback.dirpath = str(self.folder.checkpoint.parent)
        loggers = self._loggers(config.logger)
        with trainer_errors(config):
            trainer = super().instantiate_trainer(logger=loggers, callbacks=callbacks, **kwargs)
        check_restored_checkpoint(trainer)
        return trainer

    def _loggers(self, configured: Any) -> list[Logger]:
        if configured is False or self.config_init.trainer.fast_dev_run:
            return []
        path = self.folder.path
        if configured in (None, True):
            configured = TensorBoardLogger(str(path), name="", version=TENSORBOARD, default_hp_metric=False)
        loggers = as_list(configured)
        for logger in loggers:
            if isinstance(logger, WandbRun):
                logger.put_in(path)
        return [CSVMetrics(self.folder.metrics, self._resume_step, self._earlier_metrics), *loggers]

    # The work.

    def call_trainer(self) -> None:
        """Run the command."""
        is_trial = self.config.trainer.fast_dev_run
        if self._command == "fit":
            leave_out_empty_hooks(self.model, LightningModule)
        arguments = {name: self.config_init[name] for name in self._method_arguments}
        with ending_together(self.trainer.strategy):
            try:
                outcome = getattr(self.trainer, self._command)(self.model, datamodule=self.datamodule, **arguments)
            except UserError:
                self._leave_nothing_of_a_refused_run()
                raise
            if self._command == "predict" and not is_trial:
                write_predictions(outcome, self.trainer, self.folder.predictions)

    def _leave_nothing_of_a_refused_run(self) -> None:
        """Remove the loggers' files, made before the network and the data are checked, if nothing else was written."""
        if self._lock and self._lock.is_new and not self.folder.config.exists():
            shutil.rmtree(self.folder.path / TENSORBOARD, ignore_errors=True)


def refuse_split_networks(strategy: Any) -> None:
    """Raise a `UserError` for a strategy that splits the network among devices."""
    name = str(getattr(strategy, "class_path", strategy))
    if re.search("fsdp|deepspeed|modelparallel", name.lower().replace("_", "")):
        raise UserError(
            f"the strategy {name} splits a network that is too large for one device, which those of this project "
            "are not: use ddp, for which every process holds the whole network"
        )


def chosen_checkpoint(given: str | None, folder: RunFolder, fitting: bool) -> str | None:
    """The checkpoint file to resume from or to measure; None for a new run.

    Args:
        given: the user's ``ckpt_path``: a file, ``last``, ``auto`` or nothing.
        folder: folder of the run.
        fitting: whether the run is trained. Other commands use the last checkpoint by default.

    Raises:
        UserError: the checkpoint does not exist.
    """
    own = folder.checkpoint
    if given == "auto" or (given is None and fitting and is_requeued()):
        given = "last" if own.exists() or not fitting else None
    elif given is None and not fitting:
        if not own.exists():
            raise UserError(
                f"{folder.path} holds no checkpoint, and a network that was not trained has nothing to measure: train "
                "it with grok fit, or say which with --ckpt_path FILE or --run_dir FOLDER"
            )
        given = "last"
        if is_first_process():
            print(f"checkpoint {own}", file=sys.stderr)
    if given is None:
        return None
    path = own if given == "last" else Path(given)
    if not path.exists():
        raise UserError(f"the checkpoint {path} does not exist: is --run_dir {folder.path} right?")
    return str(path)


def default_run_dir(config: Namespace, fitting: bool) -> Path:
    """The default run folder."""
    sweep_run = WandbSweepRun.of_this_process()
    if sweep_run and fitting:
        return RUNS / sweep_run.folder
    files = [str(file) for file in config.config or []]
    if not files and config.ckpt_path not in (None, "last"):
        raise UserError("say the run's folder with --run_dir")
    return RUNS / (Path(files[0]).stem if files else "fit")
