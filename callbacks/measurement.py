"""The base of callbacks that measure a run every so many steps."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.deferred import Deferred
from grokking_pl.callbacks.reporting import is_log_step, log
from grokking_pl.errors import require_at_least

Values = Mapping[str, float | int | str]


class Measurement(Deferred):
    """Measures the initial network, then at every multiple of ``every_n_steps``, and where the run ends.

    A subclass says in `measure` what is measured. The values are logged, and the last ones go to ``summary.json``.

    Args:
        every_n_steps: steps between measurements. A step is counted as the number of updates made: step 0 is the
            initial network.

    Raises:
        UserError: every_n_steps is not positive.

    Attributes:
        state: what a resumed run needs besides the last values; it is kept in the checkpoint.
        thins_log: whether only one measurement per log interval of the trainer is logged, and the last one, instead of
            all; for what may be measured at every step.
        needs_only_embeddings: whether of the network it looks at the ``representation`` alone, so that `grok measure`
            can make it of a run that kept its embeddings and no checkpoints.
    """

    thins_log = False
    needs_only_embeddings = False

    def __init__(self, every_n_steps: int = 100) -> None:
        super().__init__()
        require_at_least(type(self).__name__, "every_n_steps", every_n_steps, 1)
        self.every_n_steps = every_n_steps
        self.state: dict[str, Any] = {}
        self._values: Values = {}
        self._step: int | None = None  # of the last measurement
        self._logged_step: int | None = None

    # What a subclass may say.

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check or prepare what the measurements need; called when training starts, that of a resumed run too."""

    @abstractmethod
    def measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Any:
        """The values now, by name: numbers, or words."""

    def keep(self, step: int, measured: Any) -> None:
        """Take in what was measured at a step; `values` holds it from then on."""
        self._values = measured

    @property
    def values(self) -> Values:
        """The last values, by name; empty before the first measurement."""
        return self._values

    # When it is measured.

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the initial network, unless a checkpoint brought measurements."""
        self._trainer = trainer
        self.start(trainer, pl_module)
        if self._step is None:
            self._take(trainer, pl_module)
            self.settle()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure if it is time to, and once per step: batches whose gradients are accumulated share one."""
        step = trainer.global_step
        if (step % self.every_n_steps == 0 or step == trainer.max_steps) and step != self._step:
            self._take(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the last step, wherever the run ends, and log its values."""
        if trainer.global_step != self._step:
            self._take(trainer, pl_module)
        super().on_train_end(trainer, pl_module)
        if trainer.global_step != self._logged_step:
            self._log(trainer.global_step)

    def evaluate(self, steps: Sequence[int], values: Sequence[Any]) -> None:
        """Keep and log the measurements of some steps."""
        for step, measured in zip(steps, values, strict=True):
            self.keep(step, measured)
            if not self.thins_log or is_log_step(self._trainer, step, self.every_n_steps):
                self._log(step)

    def _take(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = trainer.global_step
        self.defer(self._step, self.measure(trainer, pl_module))

    def _log(self, step: int) -> None:
        self._logged_step = step
        if self.values:
            log(self._trainer, step, self.values)

    # What is kept.

    def state_dict(self) -> dict[str, Any]:
        """The last values and ``state``."""
        super().state_dict()
        return {"step": self._step, "values": dict(self._values), "state": dict(self.state)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._step, self._values = state_dict["step"], state_dict["values"]
        self.state = dict(state_dict["state"])

    def summary(self) -> dict[str, Any]:
        """The last values."""
        self.settle()
        return dict(self.values)
