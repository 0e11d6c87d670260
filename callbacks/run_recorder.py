"""The outcome of a run: ``summary.json``, the curves figure, and the table on the terminal."""

import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

import lightning.pytorch as pl
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grokking_pl.callbacks.ending import MAX_TIME, why_ended, why_stopped
from grokking_pl.callbacks.phase_tracker import PhaseTracker
from grokking_pl.callbacks.reporting import (
    Reporting,
    draw,
    number_of_samples,
    reporting_callbacks,
    run_folder,
    settle_and_save,
    tell,
    tell_failure,
    writes_files,
)
from grokking_pl.errors import RunInterrupted
from grokking_pl.runs.folder import RunFolder
from grokking_pl.runs.wandb_run import WandbRun
from grokking_pl.training.lightning_internals import run_end_of_trained_run

RECORDED_VERSIONS = ("grokking_pl", "torch", "lightning", "torchmetrics")


class RunRecorder(pl.Callback, Reporting):
    """Writes the outcome of a run when it ends, in whatever way.

    Every ``Reporting`` callback adds its ``summary()`` to ``summary.json``. Its status is ``finished`` only once
    everything else is written, including figures; a run killed before can be resumed to complete its end.

    A run stopped by ``max_time`` is ``interrupted``; when resumed, it gets the same time again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seconds_before = 0.0
        self._start: float | None = None
        self._is_resumed = self._has_trained = False
        self._trainer: pl.Trainer | None = None
        self._stopped_at: list[int | None] | None = None
        self._summary: dict[str, Any] = {}
        self._monitored: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Seconds of training, including those before interruptions."""
        return self._seconds_before + (0.0 if self._start is None else time.monotonic() - self._start)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Make a run resumed at its last step execute the end of training."""
        if stage == "fit":
            run_end_of_trained_run(trainer)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if a callback had stopped the run, unless the trainer's limits have changed."""
        self._trainer = trainer
        if self._stopped_at is not None and self._stopped_at == limits(trainer):
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and restore the last values of monitored metrics."""
        self._start = time.monotonic()
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self._monitored.items()})

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that no callback has refused the checkpoint."""
        self._has_trained = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note why the training ended."""
        self._has_trained = True
        self._summary["ended_by"] = why_ended(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the summary, with status interrupted until everything is written, and draw the curves."""
        if writes_files(trainer):
            settle_and_save(trainer)
            self._summary = self._summarise(trainer, "interrupted", self._summary.get("ended_by"))
            run_folder(trainer).write_summary(self._summary)
            draw_curves(trainer)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Set the status to finished, once all callbacks have written their files."""
        if stage != "fit" or "status" not in self._summary:  # the run has not ended, or writes nothing
            return
        folder = run_folder(trainer)
        out_of_time = self._summary["ended_by"] == MAX_TIME
        if not out_of_time:
            self._summary["status"] = "finished"
        conclude_loggers(trainer, self._summary)
        if not out_of_time:
            folder.write_summary(self._summary)
        print_table(self._summary, folder, _tracker(trainer))
        if out_of_time:
            advice = "; to resume, run the same command with --ckpt_path last" if folder.checkpoint.exists() else ""
            tell(f"grok: stopped by max_time at step {trainer.global_step}{advice}")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write the summary of a failed or interrupted run, unless resuming was refused."""
        was_refused = self._is_resumed and not self._has_trained
        if self._start is None or was_refused or not writes_files(trainer):
            return
        interrupted = isinstance(exception, RunInterrupted | KeyboardInterrupt)
        reason = exception.number.name if isinstance(exception, RunInterrupted) else type(exception).__name__
        summary = self._summarise(trainer, "interrupted" if interrupted else "failed", reason, despite_errors=True)
        run_folder(trainer).write_summary(summary)
        draw_curves(trainer)
        conclude_loggers(trainer, summary)

    def state_dict(self) -> dict[str, Any]:
        """The seconds so far, monitored metrics, and the limits under which a callback stopped the run."""
        trainer = self._trainer
        if trainer is None:
            return {"seconds": self.seconds, "monitored": {}, "stopped_at": None}
        return {
            "seconds": self.seconds,
            "monitored": {name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1},
            "stopped_at": None if why_stopped(trainer) in (None, MAX_TIME) else limits(trainer),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the seconds so far."""
        self._is_resumed = True
        self._seconds_before = float(state_dict["seconds"])
        self._monitored = {name: float(value) for name, value in state_dict["monitored"].items()}
        self._stopped_at = state_dict["stopped_at"]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Give a resumed run the full ``max_time``, which Lightning would share with the previous run."""
        checkpoint.get("callbacks", {}).pop("Timer", None)

    def _summarise(
        self, trainer: pl.Trainer, status: str, ended_by: str | None, despite_errors: bool = False
    ) -> dict[str, Any]:
        summary: dict[str, Any] = {"status": status, "ended_by": ended_by}
        for callback in reporting_callbacks(trainer):
            try:
                summary |= callback.summary()
            except Exception:
                # A broken callback must not lose the other results of a failed or interrupted run.
                if not despite_errors:
                    raise
        # Metrics logged by a user's own module.
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        summary |= {name: value for name, value in logged.items() if name not in summary}
        return summary | {
            "steps": trainer.global_step,
            "seed": getattr(trainer.lightning_module, "run_seed", None),
            **number_of_samples(trainer),
            "seconds": round(self.seconds, 2),
            "devices": trainer.world_size,
            "accelerator": trainer.strategy.root_device.type,
            "versions": {name: version(name) for name in RECORDED_VERSIONS} | {"python": platform.python_version()},
        }


def limits(trainer: pl.Trainer) -> list[int | None]:
    """The trainer's limits of steps and epochs."""
    return [trainer.max_steps, trainer.max_epochs]


def draw_curves(trainer: pl.Trainer) -> None:
    """Draw the accuracies of a run to ``curves.png``."""
    tracker = _tracker(trainer)
    if tracker is None or not len(tracker.history):
        return

    def make() -> Any:
        from grokking_pl.plots.curves import accuracy_curves  # matplotlib is slow to import

        history = tracker.history.numpy()
        return accuracy_curves(
            steps=history[:, 0],
            train_accuracy=history[:, 1],
            val_accuracy=history[:, 2],
            steps_to_train=tracker.steps_to_train,
            steps_to_val=tracker.steps_to_val,
            thresholds=tracker.thresholds,
            phase=tracker.phase,
        )

    draw(trainer, "curves.png", make)


def conclude_loggers(trainer: pl.Trainer, summary: dict[str, Any]) -> None:
    """Send the outcome of a run to the loggers that can show it."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbRun):
            try:
                logger.conclude(summary, run_folder(trainer).path)
            except Exception as error:
                tell_failure("summary in W&B", error)


def print_table(summary: dict[str, Any], folder: RunFolder, tracker: PhaseTracker | None) -> None:
    """Print the outcome of a run on the terminal, if output is open."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    if tracker is not None and "phase" in summary:
        undecided = "" if summary["phase_decided"] else " (so far)"
        table.add_row("phase", Text.assemble((str(summary["phase"]), "bold"), undecided))
        for name, which, threshold in zip(
            ("train", "val"), ("training", "validation"), tracker.thresholds, strict=True
        ):
            step = summary[f"steps_to_{name}"]
            table.add_row(f"{which} accuracy >= {threshold:g}", "not reached" if step is None else f"at step {step}")
            table.add_row(f"{which} accuracy at the end", f"{summary[f'{name}_accuracy']:.3f}")
    table.add_row("steps", str(summary["steps"]))
    if summary["ended_by"] not in (None, "max_steps"):
        table.add_row("ended by", Text(summary["ended_by"]))
    table.add_row("seconds", f"{summary['seconds']:.1f}")
    table.add_row("folder", Text(str(folder.path)))
    console = Console(soft_wrap=True, force_jupyter=False)  # in a notebook, a capture would display an empty cell
    with console.capture() as captured:  # on closed output, rich would end the program
        console.print(table)
    try:
        print(captured.get(), end="", flush=True)
    except (OSError, ValueError) as error:
        tell_failure("table on the terminal", error)
        _forget_output()


def _tracker(trainer: pl.Trainer) -> PhaseTracker | None:
    return next((callback for callback in reporting_callbacks(trainer) if isinstance(callback, PhaseTracker)), None)


def _forget_output() -> None:
    """Discard buffered standard output, on which Python would fail again at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
