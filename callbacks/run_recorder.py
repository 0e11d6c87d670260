"""The outcome of a run: ``summary.json``, the figure of its curves, and the table on the terminal."""

import platform
import time
from importlib.metadata import version
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.table import Table

from grokking_pl.callbacks.phase_tracker import PhaseTracker
from grokking_pl.callbacks.reporting import Reporting, reporting_callbacks, run_folder
from grokking_pl.errors import RunInterrupted
from grokking_pl.runs.folder import RunFolder
from grokking_pl.runs.wandb_run import WandbRun

RECORDED_VERSIONS = ("grokking_pl", "torch", "lightning", "torchmetrics")


class RunRecorder(pl.Callback, Reporting):
    """Writes the outcome of the run when it ends, whichever way it ends.

    Every callback that is ``Reporting`` adds its ``summary()`` to ``summary.json``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seconds_before = 0.0
        self._start: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training, those before an interruption included."""
        return self._seconds_before + (0.0 if self._start is None else time.monotonic() - self._start)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the summary and draw the curves of a run that came to its end."""
        if trainer.is_global_zero:
            self._record(trainer, "finished")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write the summary of a run that failed or was interrupted."""
        if trainer.is_global_zero and self._start is not None:
            self._record(trainer, "interrupted" if isinstance(exception, RunInterrupted) else "failed")

    def state_dict(self) -> dict[str, Any]:
        """The seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting seconds."""
        self._seconds_before = state_dict["seconds"]

    def _record(self, trainer: pl.Trainer, status: str) -> None:
        folder = run_folder(trainer)
        summary: dict[str, Any] = {"status": status}
        callbacks = reporting_callbacks(trainer)
        for callback in callbacks:
            try:
                summary |= callback.summary()
            except Exception:
                # A callback that is broken shall not cost a failed run the results of the others.
                if status != "failed":
                    raise
        # What a module of the user's own has logged.
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        summary |= {name: value for name, value in logged.items() if name not in summary}
        summary |= {
            "steps": trainer.global_step,
            "seed": getattr(trainer.lightning_module, "run_seed", None),
            "seconds": round(self.seconds, 2),
            "devices": trainer.world_size,
            "accelerator": trainer.strategy.root_device.type,
            "versions": {name: version(name) for name in RECORDED_VERSIONS} | {"python": platform.python_version()},
        }
        folder.write_summary(summary)
        trackers = [callback for callback in callbacks if isinstance(callback, PhaseTracker)]
        if trackers and len(trackers[0].history):
            draw_curves(trackers[0], folder)
        for logger in trainer.loggers:
            if isinstance(logger, WandbRun):
                logger.conclude(summary, folder.path)
        if status == "finished":
            print_table(summary, folder)


def draw_curves(tracker: PhaseTracker, folder: RunFolder) -> None:
    """Draw the accuracies of a run into ``curves.png``."""
    from grokking_pl.plots.curves import accuracy_curves  # matplotlib takes a second to import

    history = tracker.history.numpy()
    figure = accuracy_curves(
        steps=history[:, 0],
        train_accuracy=history[:, 1],
        val_accuracy=history[:, 2],
        steps_to_train=tracker.steps_to_train,
        steps_to_val=tracker.steps_to_val,
        thresholds=tracker.thresholds,
        phase=tracker.phase,
    )
    figure.savefig(folder.path / "curves.png", dpi=150)


def print_table(summary: dict[str, Any], folder: RunFolder) -> None:
    """Print the outcome of a run on the terminal."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    if "phase" in summary:
        undecided = "" if summary["phase_decided"] else " (so far)"
        table.add_row("phase", f"[bold]{summary['phase']}[/bold]{undecided}")
        for name, which in (("train", "training"), ("val", "validation")):
            step = summary[f"steps_to_{name}"]
            table.add_row(f"{which} accuracy passed", "never" if step is None else f"at step {step}")
            table.add_row(f"{which} accuracy at the end", f"{summary[f'{name}_accuracy']:.3f}")
    table.add_row("steps", str(summary["steps"]))
    table.add_row("seconds", f"{summary['seconds']:.1f}")
    table.add_row("folder", str(folder.path))
    Console(soft_wrap=True).print(table)
