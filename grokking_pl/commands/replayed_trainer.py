"""A trainer that trains nothing, but runs measurements on a run's kept weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers.logger import Logger

from grokking_pl.callbacks import Measurement
from grokking_pl.commands.old_run import HOW_TO_KEEP, OldRun
from grokking_pl.errors import UserError
from grokking_pl.runs.csv_metrics import read_rows

Rows = dict[int, dict[str, Any]]
"""Measured values by step, then by name."""


class ReplayedTrainer(Trainer):
    """Replays the kept steps of a run, one after the other.

    Args:
        run: run whose weights are measured.
        measures: measurements to make.

    Raises:
        UserError: the run did not keep what a measurement reads.
    """

    def __init__(self, run: OldRun, measures: Sequence[Measurement]) -> None:
        self._measures = measures
        self._steps = _steps(run, measures)
        self._rows = _Rows()
        self._step = 0
        super().__init__(
            accelerator="cpu",
            devices=1,
            precision="64-true" if run.is_double() else "32-true",
            max_steps=max(self._steps),
            log_every_n_steps=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=str(run.folder.path),
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

    def replay(self) -> Rows:
        """Measure every kept step.

        Files that a measurement writes at the end of a run are written too, unless it was used in training and has
        already written them.

        Raises:
            UserError: something cannot be measured, or weights cannot be read.
        """
        module: Any = self._old_run.module
        module.on_fit_start()
        begun: list[Measurement] = []
        for step in self._steps:
            self._step = step
            self._old_run.load(step)
            for measure in self._measures:
                if not (step in self._old_run.weights or measure.needs_only_embeddings):
                    continue
                if measure in begun:
                    measure.on_train_batch_end(self, module, None, None, 0)
                else:
                    measure.every_n_steps = 1
                    measure.require(self, module)
                    measure.on_train_start(self, module)
                    self._check_names(measure)
                    begun.append(measure)
        for measure in self._measures:
            if self._step in self._old_run.weights or measure.needs_only_embeddings:
                measure.on_train_end(self, module)
            else:
                measure.settle()
            if type(measure).__name__ not in self._old_run.watched_by:
                measure.on_fit_end(self, module)
        module.on_fit_end()
        return dict(sorted(self._rows.rows.items()))

    def _check_names(self, measure: Measurement) -> None:
        """Raise a `UserError` if the run has logged a value of that name, and not by this measurement."""
        rows = [] if type(measure).__name__ in self._old_run.watched_by else read_rows(self._old_run.folder.metrics)
        if shared := {name for row in rows[:1] for name in row} & measure.values.keys():
            raise UserError(
                f"{type(measure).__name__} measures {min(shared)}, which the run has logged: give it another name"
            )


def _steps(run: OldRun, measures: Sequence[Measurement]) -> list[int]:
    """The steps at which at least one measurement is possible, ascending.

    Raises:
        UserError: a measurement is possible at no step.
    """
    of_all = [type(measure).__name__ for measure in measures if not measure.needs_only_embeddings]
    if of_all and not run.weights:
        raise UserError(_needs_weights(run, next(measure for measure in measures if not measure.needs_only_embeddings)))
    steps = run.steps(of_embeddings=len(of_all) < len(measures))
    if not steps:
        raise UserError(
            f"{run.folder.path} keeps no checkpoints but its last, and no embeddings: {HOW_TO_KEEP}, or with "
            "EmbeddingSnapshots for measures of the embeddings"
        )
    return steps


def _needs_weights(run: OldRun, measure: Measurement) -> str:
    """The message for a measurement of the whole network, or of one's own that does not say what it reads."""
    name, folder = type(measure).__name__, run.folder.path
    own = not type(measure).__module__.startswith("grokking_pl.")
    if own and run.embeddings:
        return (
            f"{folder} keeps embeddings, but no checkpoints but its last: if {name} reads only "
            f"pl_module.representation, set needs_only_embeddings = True in the class; otherwise {HOW_TO_KEEP}"
        )
    but = ", and embeddings, which are not enough" if run.embeddings else ""
    return f"{name} looks at the whole network, and {folder} keeps no checkpoints but its last{but}: {HOW_TO_KEEP}"


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
