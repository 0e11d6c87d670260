"""Base class of callbacks that measure a run at intervals."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from grokking_pl.callbacks.deferred import Deferred
from grokking_pl.callbacks.reporting import is_early_log_step, is_log_step, log
from grokking_pl.errors import UserError, require_at_least

Values = Mapping[str, float | int | str]


class Measurement(Deferred):
    """Measures the initial network, every ``every_n_steps`` steps, and at the end of the run.

    Subclasses implement `measure`. Values are logged, and the last ones are written to ``summary.json``.

    Args:
        every_n_steps: steps between measurements. Steps count updates; step 0 is the initial network.

    Raises:
        UserError: every_n_steps is not positive.

    Attributes:
        state: state for resuming besides the last values; saved in checkpoints.
        thins_log: whether to log only one measurement per log interval of the trainer, early ones at ten steps per
            decade, and the last one, instead of all; for measurements at every step.
        needs_only_embeddings: whether the measurement reads only the network's ``representation``, so that
            `grok measure` can apply it to a run that kept embeddings but no checkpoints.
    """

    thins_log = False
    needs_only_embeddings = False

    def __init__(self, every_n_steps: int = 100) -> None:
        super().__init__()
        require_at_least(type(self).__name__, "every_n_steps", every_n_steps, 1)
        self.every_n_steps = every_n_steps
        self.state: dict[str, Any] = {}
        self._values: Values = {}
        self._step: int | None = None  # step of the last measurement
        self._logged_step: int | None = None

    # To be overridden.

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise a `UserError` if the network or the data are not suitable; called before anything is written."""

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepare whatever is needed; called when training starts or resumes."""

    @abstractmethod
    def measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Any:
        """The current values by name: numbers or words."""

    def keep(self, step: int, measured: Any) -> None:
        """Record a measurement, which `values` then returns.

        Raises:
            UserError: it is not a mapping of names to numbers or words.
        """
        who = type(self).__name__
        if not isinstance(measured, Mapping):
            raise UserError(f"{who}: measure returns {type(measured).__name__}; it must return a dictionary of values")
        self._values = {name: _plain(who, name, value) for name, value in measured.items()}

    @property
    def values(self) -> Values:
        """The last values, by name; empty before the first measurement."""
        return self._values

    # When to measure.

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the network and the data."""
        self.require(trainer, pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the initial network, unless measurements were restored from a checkpoint.

        Raises:
            UserError: a value has the name of another measurement's.
        """
        self._trainer = trainer
        self.start(trainer, pl_module)
        if self._step is None:
            self._take(trainer, pl_module)
            self.settle()
        self._check_names(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure if due, once per step (accumulated batches share one)."""
        step = trainer.global_step
        if (step % self.every_n_steps == 0 or step == trainer.max_steps) and step != self._step:
            self._take(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the last step of the run, and log its values."""
        if trainer.global_step != self._step:
            self._take(trainer, pl_module)
        super().on_train_end(trainer, pl_module)
        if trainer.global_step != self._logged_step:
            self._log(trainer.global_step)

    def evaluate(self, steps: Sequence[int], values: Sequence[Any]) -> None:
        """Record and log the measurements of these steps."""
        for step, measured in zip(steps, values, strict=True):
            self.keep(step, measured)
            if not self.thins_log or self._is_logged(step):
                self._log(step)

    def _take(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = trainer.global_step
        self.defer(self._step, self.measure(trainer, pl_module))

    def _check_names(self, trainer: pl.Trainer) -> None:
        for other in trainer.callbacks:  # type: ignore[attr-defined]
            shared = self.values.keys() & other.values.keys() if isinstance(other, Measurement) else ()
            if shared and other is not self:
                raise UserError(
                    f"{type(self).__name__} and {type(other).__name__} both measure {min(shared)}: give one of them "
                    "another name"
                )

    def _is_logged(self, step: int) -> bool:
        trainer, every = self._trainer, self.every_n_steps
        return is_log_step(trainer, step, every) or is_early_log_step(trainer, step, every)

    def _log(self, step: int) -> None:
        self._logged_step = step
        if self.values:
            log(self._trainer, step, self.values)

    # State.

    def state_dict(self) -> dict[str, Any]:
        """The last values and ``state``."""
        super().state_dict()
        return {"step": self._step, "values": dict(self._values), "state": dict(self.state)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self._step, self._values = state_dict["step"], state_dict["values"]
        self.state = dict(state_dict["state"])

    def summary(self) -> dict[str, Any]:
        """The last values."""
        self.settle()
        return dict(self.values)


def _plain(who: str, name: Any, value: Any) -> float | int | str:
    """A value as a number or a word; also of a tensor or an array with one entry."""
    if getattr(value, "size", None) == 1 or (isinstance(value, Tensor) and value.numel() == 1):
        value = value.item()
    if name == "step" or not isinstance(name, str):
        raise UserError(f"{who}: measure returns a value named {name!r}, which is the number of updates or no name")
    if not isinstance(value, float | int | str):
        raise UserError(f"{who}: {name} is a {type(value).__name__}; measure must return numbers or words")
    return value
