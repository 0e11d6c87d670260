"""A trainer that trains nothing, but runs measurements on a run's kept weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers.logger import Logger

from grokking_pl.callbacks import Measurement
from grokking_pl.commands.old_run import OldRun

Rows = dict[int, dict[str, Any]]
"""Measured values by step, then by name."""


class ReplayedTrainer(Trainer):
    """Replays the kept steps of a run, one after the other.

    Args:
        run: run whose weights are measured.
        folder: folder of the run.
    """

    def __init__(self, run: OldRun, folder: str) -> None:
        self._rows = _Rows()
        self._step = 0
        super().__init__(
            accelerator="cpu",
            devices=1,
            precision="64-true" if run.is_double() else "32-true",
            max_steps=max(run.weights),
            log_every_n_steps=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        self._old_run = run
        self.strategy.connect(run.module)
        run.module.trainer = run.data.trainer = self
        self.datamodule = run.data
        run.data.setup("fit")

    @property
    def global_step(self) -> int:
        """The step of the network's current weights."""
        return self._step

    @property
    def loggers(self) -> list[Logger]:
        """The logger that collects the values."""
        return [self._rows]

    @loggers.setter
    def loggers(self, loggers: list[Logger] | None) -> None:
        """Ignored: there are no other loggers."""

    def replay(self, measures: Sequence[Measurement]) -> Rows:
        """Measure every kept step.

        Raises:
            UserError: something cannot be measured, or weights cannot be read.
        """
        module: Any = self._old_run.module
        module.on_fit_start()
        for number, step in enumerate(self._old_run.weights):
            self._step = step
            self._old_run.load(step)
            for measure in measures:
                if number == 0:
                    measure.every_n_steps = 1
                    measure.on_train_start(self, module)
                else:
                    measure.on_train_batch_end(self, module, None, None, 0)
        for measure in measures:
            measure.on_train_end(self, module)
        module.on_fit_end()
        return dict(sorted(self._rows.rows.items()))


class _Rows(Logger):
    """Keeps what is logged, by step."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Rows = {}

    @property
    def name(self) -> str:
        return "measures"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Ignored: there are no hyperparameters."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.rows.setdefault(step or 0, {}).update(metrics)
