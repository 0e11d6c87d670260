"""The one file that uses private parts of Lightning, and of torch below it; each use states its benefit.

Times are CPU times for one step of ``configs/toy_addition.yaml``, 1.2 to 1.4 ms on a busy two-core machine, from
alternating runs with and without. Benefits below 3 % are left out. ``tests/training/test_lightning_internals.py``
states which part has changed when Lightning has.
"""

import logging
import math
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from grokking_pl.errors import UserError, reason_on_one_line
from grokking_pl.training.several_optimizers import SeveralOptimizers

# Speed.

HOOK_NAME = "_current_fx_name"

HOOKS_OF_A_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


def leave_out_empty_hooks(watched: Any, base: type) -> None:
    """Let Lightning skip an object's step hooks that are inherited from ``base``, where they do nothing.

    Lightning calls some fifty of them per step, on all callbacks and the module, but skips what is not callable. Hooks
    set on the object itself are kept. Saves 0.1 to 0.2 ms for the callbacks, and 0.02 to 0.1 ms for the module.
    """
    for hook in HOOKS_OF_A_STEP:
        if hook not in vars(watched) and getattr(type(watched), hook) is getattr(base, hook):
            object.__setattr__(watched, hook, None)


class QuickHookName:
    """Mixin for a LightningModule that sets the name of the running hook as a plain attribute.

    Lightning sets it some forty times per step, and a torch module checks the type of every attribute set. Saves 0.15
    to 0.2 ms.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == HOOK_NAME:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


class NoProfiler(PassThroughProfiler):
    """A profiler that measures nothing, cheaper than Lightning's, whose generator runs some fifty times per step.

    Saves 0.1 to 0.15 ms.
    """

    _nothing = nullcontext()

    def profile(self, action_name: str) -> nullcontext[None]:  # type: ignore[override]
        """Do nothing."""
        return self._nothing


# The end of a run.


class FitLoopWithEnd(_FitLoop):
    """Lightning's fit loop, but training starts and ends even if no step is left.

    Lightning's own returns at once for a checkpoint at the last step, without ``on_train_start``, ``on_train_end`` and
    the validation that was due. With this loop, a run killed after its last step still gets everything that belongs to
    its end.
    """

    def run(self) -> None:
        """Train for the remaining steps, if any."""
        self.setup_data()
        if not (self.done and self.max_batches and self.trainer.limit_train_batches):
            super().run()
            return
        self.on_run_start()
        batches: Any = self.epoch_loop.batch_progress
        fetcher: Any = self._data_fetcher
        if batches.current.completed < batches.current.processed:  # the checkpoint is from the end of a batch
            self.restarting = self.epoch_loop.restarting = self.epoch_loop.val_loop.restarting = False
            batches.increment_completed()
            self.epoch_loop.on_advance_end(fetcher)
            self.on_advance_end()
        self.on_run_end()


def run_end_of_trained_run(trainer: Trainer) -> None:
    """Let a run resumed at its last step execute the end of training."""
    trainer.fit_loop.__class__ = FitLoopWithEnd


# Resuming.


class CheckedConnector(_CheckpointConnector):
    """Lightning's checkpoint restoring, but anything that does not fit is an error that names the file.

    Lightning's own raises whatever it meets, or skips what is missing and trains with the rest. The user gets one line
    instead of a traceback or a wrong result.
    """

    def _restore_modules_and_callbacks(self, checkpoint_path: Any = None, weights_only: bool | None = None) -> None:
        with _naming(checkpoint_path):
            super()._restore_modules_and_callbacks(checkpoint_path, weights_only)

    def restore_training_state(self) -> None:
        """Restore all loops, optimizers and schedulers."""
        loaded: Any = self._loaded_checkpoint
        fitting = bool(loaded) and self.trainer.state.fn == TrainerFn.FITTING
        with _naming(self._ckpt_path):
            if fitting:
                _check_alike(self.trainer.fit_loop.state_dict(), loaded["loops"]["fit_loop"], "loops.fit_loop")
                configured = [_options_of_groups(optimizer) for optimizer in self.trainer.optimizers]
            super().restore_training_state()
            if fitting:
                self._check_restored(loaded, configured)

    def _check_restored(self, loaded: Any, configured: list[list[dict[str, Any]]]) -> None:
        for name, parts in (
            ("optimizer_states", self.trainer.optimizers),
            ("lr_schedulers", self.trainer.lr_scheduler_configs),
        ):
            if len(loaded[name]) != len(parts):
                raise ValueError(f"it has {len(loaded[name])} {name} instead of {len(parts)}")
        if self.trainer.global_step != loaded["global_step"]:
            raise ValueError(f"its loops made {self.trainer.global_step} steps, but it says {loaded['global_step']}")
        for optimizer, options in zip(self.trainer.optimizers, configured, strict=True):
            _check_options(options, _options_of_groups(optimizer))
            _check_moments(optimizer, self.trainer.global_step)


def check_restored_checkpoint(trainer: Trainer) -> None:
    """Make the trainer check that a checkpoint fits before it resumes."""
    trainer._checkpoint_connector.__class__ = CheckedConnector


@contextmanager
def _naming(path: Any) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        message = str(error)
        raise UserError(message if str(path) in message else f"{path}: {message}") from error
    except MisconfigurationException:  # the trainer's limits are below the checkpoint's
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
        raise UserError(
            f"{path} is damaged or of another network ({reason_on_one_line(reason)}): use another checkpoint with "
            "--ckpt_path FILE, or the configuration it was trained with"
        ) from error


def _check_alike(expected: Any, actual: Any, name: str) -> None:
    """Raise a ValueError unless a loop's state is complete and of the right types."""
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            raise ValueError(f"{name} has the wrong type, {type(actual).__name__}")
        for key, value in expected.items():
            if key not in actual:
                raise ValueError(f"{name} has no {key}")
            _check_alike(value, actual[key], f"{name}.{key}")
    elif isinstance(expected, int) and (type(actual) is not type(expected) or actual < 0):
        raise ValueError(f"{name} is {actual!r}")


def _options_of_groups(optimizer: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def _check_options(configured: list[dict[str, Any]], restored: list[dict[str, Any]]) -> None:
    """Raise a ValueError unless an optimizer's groups have every option, of the configured type.

    Values may differ: schedulers and callbacks change them.
    """
    for number, (options, others) in enumerate(zip(configured, restored, strict=True)):
        for name, value in options.items():
            if name not in others:
                raise ValueError(f"group {number} of its optimizer_states has no {name}")
            if not _is_of_kind(others[name], value):
                raise ValueError(f"group {number} of its optimizer_states has {name} {others[name]!r}")


def _is_of_kind(value: Any, example: Any) -> bool:
    if isinstance(example, tuple | list):
        return isinstance(value, tuple | list) and len(value) == len(example) and all(map(_is_of_kind, value, example))
    if isinstance(example, int | float) and not isinstance(example, bool):
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
    return example is None or isinstance(value, type(example))


def _check_moments(optimizer: Any, step: int) -> None:
    """Raise a ValueError unless each Adam that has made steps has moments for its parameters."""
    parts = optimizer.optimizers if isinstance(optimizer, SeveralOptimizers) else (optimizer,)
    adams = [part for part in parts if isinstance(part, torch.optim.Adam)]
    if not adams or not step:
        return
    weights = [weight for adam in adams for group in adam.param_groups for weight in group["params"]]
    states = [(weight, optimizer.state[weight]) for weight in weights if weight in optimizer.state]
    if not states:
        raise ValueError("its optimizer_states are empty")
    for weight, state in states:
        for name in ("exp_avg", "exp_avg_sq"):
            if getattr(state.get(name), "shape", None) != weight.shape:
                raise ValueError(f"its optimizer_states have no {name} for a weight of shape {tuple(weight.shape)}")
        if "step" not in state or not 0 <= float(state["step"]) <= step:
            raise ValueError(f"its optimizer_states have made {state.get('step')} of {step} steps")


# Lost processes.

OBSERVER = "lightning.fabric.strategies.launchers.subprocess_script"
"""Logger of Lightning's thread that watches the launched processes and kills all if one fails."""

OBSERVED = "terminated with code"
"""Start of its message. The user gets one line instead of a bare ``Killed``."""

LOST_CONNECTION = (
    "closed by peer|reset by peer|Socket closed|remote worker|Broken pipe|remote process exited|ncclRemoteError"
)
"""Messages of Gloo and NCCL if a peer has exited. The user gets one line instead of a traceback."""

NO_ANSWER = "imed out (waiting|after|connecting)|imeout after|(Read|Write|Connect|Socket|Application) [Tt]imeout"
"""Messages of torch if a peer has not answered within the timeout, for the same purpose."""


class _Observer(logging.Handler):
    def __init__(self, react: Callable[[], None]) -> None:
        super().__init__()
        self._react = react

    def createLock(self) -> None:
        """Create no lock: the reaction may take long, and Python waits for handlers' locks at exit."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        if OBSERVED in record.getMessage():
            self._react()


def call_on_lost_process(react: Callable[[], None]) -> None:
    """Call ``react`` when Lightning finds that a launched process has failed, before it kills all."""
    observer = logging.getLogger(OBSERVER)
    for handler in [handler for handler in observer.handlers if isinstance(handler, _Observer)]:
        observer.removeHandler(handler)
    observer.addHandler(_Observer(react))
    observer.setLevel(logging.INFO)
    observer.propagate = False


def launched_processes(strategy: Any) -> list[subprocess.Popen[bytes]]:
    """The processes launched by a strategy, to be ended with this one; empty if launched otherwise."""
    return list(getattr(getattr(strategy, "launcher", None), "procs", ()))
