"""Checkpoints of a run: the last one, at intervals, at the end and on signals; and kept ones."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint

from grokking_pl.callbacks.reporting import run_folder, settle_and_save, writes_files
from grokking_pl.errors import RunInterrupted, UserError, require_at_least
from grokking_pl.runs.kept_checkpoints import KeptCheckpoints, is_log_spaced
from grokking_pl.runs.slurm import requeue_job, requeue_signal


class RunCheckpoint(Checkpoint):
    """Writes ``checkpoints/last.ckpt`` in the run folder, and optionally keeps checkpoints of more steps.

    Kept checkpoints are ``checkpoints/step_00000100.ckpt`` and so on, including the initial network. They are written
    atomically, and a run resumed from an earlier checkpoint first removes those of later steps. `grok measure`
    evaluates them.

    On SIGTERM or Ctrl-C the current step is finished, a checkpoint is written, and the run ends; a second signal ends
    it at once. A run killed in any other way resumes from its last checkpoint. Several processes end at the next
    checkpoint step. In a SLURM job the signal that announces its end (SIGUSR1) does the same and requeues the job.

    Args:
        every_n_steps: steps between checkpoints.
        keep: "last" keeps only the last one; "all" also those of all these steps; "log" those of ten steps per decade,
            evenly spaced on a logarithmic axis; a number n those of every n-th step.

    Raises:
        UserError: every_n_steps or keep is not positive, or keep is another word.
    """

    def __init__(self, every_n_steps: int = 1000, keep: Literal["last", "all", "log"] | int = "last") -> None:
        super().__init__()
        require_at_least("RunCheckpoint", "every_n_steps", every_n_steps, 1)
        if keep not in ("last", "all", "log") and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 1):
            raise UserError(f"RunCheckpoint: keep is {keep}; it must be last, all, log, or a number of steps")
        self.every_n_steps = every_n_steps
        self.keep = keep
        self.signal: signal.Signals | None = None
        self._step = 0
        self._written_step: int | None = None
        self._requeue: signal.Signals | None = None
        self._previous_handlers: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install signal handlers for the duration of training."""
        self._step = trainer.global_step
        own, resumed_from = run_folder(trainer).checkpoint, trainer.ckpt_path
        is_own = resumed_from is not None and Path(resumed_from).resolve() == own.resolve()
        self._written_step = self._step if is_own else None
        if writes_files(trainer):
            KeptCheckpoints(own.parent).remove_after(-1 if resumed_from is None else self._step)
        if self._step == 0:
            self._keep(trainer)
        self._requeue = requeue_signal(trainer)
        for number in filter(None, (signal.SIGINT, signal.SIGTERM, self._requeue)):
            self._previous_handlers[number] = signal.signal(number, self._on_signal)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a checkpoint if due, or if the run ends here.

        Raises:
            RunInterrupted: a signal ended the run, after the checkpoint was written.
        """
        step = trainer.global_step
        if step == self._step:  # accumulated gradients: this batch made no update
            return
        self._step = step
        number = self._agreed_signal(trainer)
        self._keep(trainer)  # first, so that a run resumed from its last checkpoint lacks no earlier one
        if number or trainer.should_stop or step % self.every_n_steps == 0 or step == trainer.max_steps:
            self._write(trainer)
        if number:
            if number == self._requeue and trainer.is_global_zero:
                requeue_job()
            raise RunInterrupted(number, step)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the last checkpoint of a run that did not end at ``max_steps``, once its last step is measured.

        Other runs already have it, unless resumed at the end from another folder's checkpoint.
        """
        if not trainer.global_step == trainer.max_steps == self._written_step:
            self._write(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Restore the signal handlers."""
        self._restore_handlers()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restore the signal handlers."""
        self._restore_handlers()

    def _write(self, trainer: pl.Trainer) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        settle_and_save(trainer)
        trainer.save_checkpoint(run_folder(trainer).checkpoint)
        self._written_step = trainer.global_step

    def _keep(self, trainer: pl.Trainer) -> None:
        """Keep the checkpoint of this step, if required."""
        if trainer.fast_dev_run or not self._is_kept(trainer.global_step):  # type: ignore[attr-defined]
            return
        settle_and_save(trainer)
        trainer.save_checkpoint(KeptCheckpoints(run_folder(trainer).checkpoint.parent).file(trainer.global_step))

    def _is_kept(self, step: int) -> bool:
        if self.keep == "log":
            return is_log_spaced(step)
        if self.keep == "all":
            return step % self.every_n_steps == 0
        return isinstance(self.keep, int) and step % self.keep == 0

    def _restore_handlers(self) -> None:
        while self._previous_handlers:
            signal.signal(*self._previous_handlers.popitem())

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    def _agreed_signal(self, trainer: pl.Trainer) -> signal.Signals | None:
        if trainer.world_size == 1:
            return self.signal
        # All processes must stop at the same step, so they agree on it at checkpoint steps.
        if trainer.global_step % self.every_n_steps:
            return None
        number = torch.tensor(int(self.signal or 0), device=trainer.strategy.root_device)
        agreed = int(trainer.strategy.reduce(number, reduce_op="max"))
        return signal.Signals(agreed) if agreed else None
