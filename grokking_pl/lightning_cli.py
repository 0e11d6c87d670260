"""``grok fit``, ``validate``, ``test`` and ``predict``: a LightningCLI whose runs live in folders."""

import csv
import difflib
import inspect
import json
import logging
import os
import re
import signal
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.trainer import Trainer
from lightning.pytorch.utilities.exceptions import MisconfigurationException

import grokking_pl.data
import grokking_pl.models  # noqa: F401 (so that classes can be given by their short names, and help lists them)
from grokking_pl.callbacks import LossMonitor, RunCheckpoint, RunProgress, RunRecorder
from grokking_pl.commands import COMMANDS, fail
from grokking_pl.errors import RunInterrupted, UserError
from grokking_pl.runs import CSVMetrics, RunFolder, SafeCheckpointIO, WandbRun
from grokking_pl.runs.lost_process import MESSAGE, is_lost_process, let_first_process_finish, watch_processes
from grokking_pl.runs.naming import WandbSweepRun
from grokking_pl.runs.slurm import is_requeued
from grokking_pl.training import GroupOptions

RUNS = Path("runs")


def _run(arguments: list[str]) -> None:
    watch_processes()
    try:
        GrokCLI(arguments)
    except Exception:
        let_first_process_finish()
        raise


def run(arguments: list[str]) -> None:
    """Run one of Lightning's commands.

    A ``UserError`` anywhere ends the program with one line and status 2; a run that was interrupted by a signal ends
    with 128 plus the signal's number.
    """
    quieten()
    try:
        _run(arguments)
    except RunInterrupted as interruption:
        if interruption.number == signal.SIGTERM and WandbSweepRun.of_this_process():
            # W&B's agent stops a run early by this signal, and counts any other end than by it as a failure.
            print(f"grok: {interruption}, as the sweep's agent asked", file=sys.stderr, flush=True)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        print(f"grok: {interruption}; to go on, run the same command with --ckpt_path last", file=sys.stderr)
        sys.exit(128 + interruption.number)
    except KeyboardInterrupt:
        fail("stopped at once; the run goes on from its last checkpoint with --ckpt_path last", 130)
    except MisconfigurationException as error:
        fail(re.sub(r"\s+", " ", str(error)))
    except (ValueError, TypeError, RuntimeError) as error:
        # A parser that tries several types wraps the error of each.
        message = find_user_error(error) or twice(error)
        if message is None and is_lost_process(error):
            fail(MESSAGE, 1)
        if message is None:
            raise
        fail(str(message))


def quieten() -> None:
    """Keep Lightning's advertisements and notes on its own implementation off the user's terminal."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*isinstance.treespec.*",
        ".*litlogger.*",
        ".*does not have many workers.*",
        ".*instantiate_classes.*",
        # Validating a checkpoint needs no record of the run.
        ".*callbacks used to create the checkpoint.*",
        # Callbacks log the same value on every process.
        ".*sync_dist=True.*",
    ):
        warnings.filterwarnings("ignore", message=message)


class GrokParser(LightningArgumentParser):
    """Answers a wrong option with one line, and names the nearest right one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # An abbreviation would make a mistyped option another option.
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Leave with status 2 and one line."""
        fail(one_line(message, [option.lstrip("-") for option in self._option_string_actions]))


def one_line(message: str, options: list[str]) -> str:
    """Condense a parser's message to one line; for a name that does not exist, add the nearest that does."""
    text = re.sub(r"\s+", " ", message).strip()
    text = re.sub(r"<class '([\w.]+)'>", r"\1", text)
    if re.fullmatch(r"the following arguments are required: \w+\.model", text):
        return "nothing says what to train: give a configuration with --config, for example configs/mnist_grok.yaml"
    absent = re.match(r"Parser key \"config\": File does not exist: '?([^']+)'?", text)
    if absent:
        path = Path(absent[1])
        near = difflib.get_close_matches(path.name, [each.name for each in path.parent.glob("*.yaml")], n=1)
        return f"there is no configuration {absent[1]}" + (f": did you mean {path.with_name(near[0])}?" if near else "")
    missing = re.search(r"(module '[\w.]+' has no attribute '\w+'|No module named '[\w.]+')", text)
    if missing:
        return f"{missing[1]}: a class_path is the module's name, a dot and the class's name"
    unknown = re.search(r"(?:unrecognized arguments: --|[Oo]ption '|[Kk]ey ')([\w.]+)", text)
    if unknown and not text.startswith("Parser key"):
        text = f"there is no option {unknown[1]}"
        near = difflib.get_close_matches(unknown[1], options + _names_of_classes(), n=1, cutoff=0.7)
        if near:
            text += f": did you mean {near[0]}?"
    return text


def _names_of_classes() -> list[str]:
    """The options of every architecture, module, datamodule, callback and logger that is loaded."""
    roots = (LightningModule, LightningDataModule, Callback, Logger, torch.nn.Module, GroupOptions)
    names: set[str] = set()
    waiting: list[type] = list(roots)
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if not cls.__module__.startswith(("torch", "lightning")):
            names |= set(inspect.signature(cls).parameters)
    return sorted(names)


def twice(error: Exception) -> UserError | None:
    """What Lightning's complaint of two callbacks of a kind means."""
    found = re.search(r"more than one stateful callback of type `(\w+)`", str(error))
    if found is None:
        return None
    return UserError(
        f"there are two callbacks {found[1]}: set the options of the one in the configuration file, or give the whole "
        "list anew with --trainer.callbacks=..."
    )


def find_user_error(error: BaseException | None) -> UserError | None:
    """The error for the user behind an exception, if there is one."""
    while error is not None:
        if isinstance(error, UserError):
            return error
        error = error.__cause__ or error.__context__
    return None


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
                    "description": COMMANDS[self._command],
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


def parser_of(command: str) -> LightningArgumentParser:
    """The parser of one of Lightning's commands."""
    try:
        _ParserAlone([command])
    except _Built as built:
        return built.args[0]._subcommands_action._name_parser_map[command]
    raise AssertionError("a parser is always built")


def as_list(value: Any) -> list[Any]:
    """A configuration's null, single value or list as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


HOOKS_OF_A_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


def leave_out_empty_hooks(watched: Any, base: type) -> None:
    """Let Lightning pass over the hooks of a step that an object only inherits from ``base``, where they do nothing.

    It calls all of every callback's and the module's, some fifty a step, unless they are no functions.
    """
    for hook in HOOKS_OF_A_STEP:
        if getattr(type(watched), hook) is getattr(base, hook):
            object.__setattr__(watched, hook, None)


class NoProfiler(PassThroughProfiler):
    """Measures nothing, at less cost than Lightning's own, whose generator runs some fifty times a step."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> nullcontext[None]:  # type: ignore[override]
        """Enter and leave at once."""
        return self._nothing


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


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to one level, with dots, and without the ``init_args`` that the command line omits.

    >>> flatten({"model": {"class_path": "a.B", "init_args": {"lr": 1}}, "betas": [0.9, 0.999]})
    {'model': 'a.B', 'model.lr': 1, 'betas.0': 0.9, 'betas.1': 0.999}
    """
    if isinstance(config, dict):
        flat: dict[str, Any] = {}
        for key, value in config.items():
            if key == "class_path":
                flat[prefix] = value
            else:
                flat |= flatten(value, prefix if key == "init_args" else f"{prefix}.{key}" if prefix else key)
        return flat
    if isinstance(config, list):
        return {k: v for i, value in enumerate(config) for k, v in flatten(value, f"{prefix}.{i}").items()}
    return {prefix: config}
