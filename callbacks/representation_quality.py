"""How good the representation is while it forms: RQI and the accuracy it predicts (section 3.1 of the paper)."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.callbacks.reporting import Reporting, log, made_update, require_table
from grokking_pl.errors import UserError
from grokking_pl.metrics import Criterion, Representation, predicted_accuracy, published_criterion, rqi

PENDING = 200


class RepresentationQuality(pl.Callback, Reporting):
    """Finds the first step at which the representation quality index exceeds its threshold.

    A step is counted as the number of updates made. Embeddings are copied at each evaluation and judged many at a
    time, so that watching every step costs little.

    Args:
        every_n_steps: steps between evaluations.
        threshold: RQI above which the representation counts as formed (0.95 in figures 4 and 5).
        criterion: when two combined embeddings count as equal; null for that of the authors' published code.

    Raises:
        UserError: a parameter is out of range, the network has no embeddings, the data no operation table, or an
            embedding is not a number.
    """

    def __init__(self, every_n_steps: int = 100, threshold: float = 0.95, criterion: Criterion | None = None) -> None:
        super().__init__()
        if every_n_steps < 1:
            raise UserError(f"RepresentationQuality: every_n_steps is {every_n_steps}; it must be at least 1")
        if not 0 <= threshold < 1:
            raise UserError(f"RepresentationQuality: threshold is {threshold}; it must be at least 0 and below 1")
        self.every_n_steps = every_n_steps
        self.threshold = threshold
        self.criterion = criterion
        self.steps_to_rqi: int | None = None
        self._history: list[tuple[float, float, float]] = []
        self._pending: list[tuple[int, Float[Tensor, "p d"]]] = []

    @property
    def history(self) -> Float[Tensor, "evaluations 3"]:
        """Every evaluation: step, RQI, predicted accuracy on the whole table."""
        return torch.tensor(self._history, dtype=torch.float64).reshape(-1, 3)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge the initial embeddings."""
        data: Any = require_table(trainer, "RepresentationQuality")
        module: Any = pl_module
        self._trainer = trainer
        self._table = data.table
        self._train = data.train_indices.to(trainer.strategy.root_device)
        self._combine = module.representation.combine
        self._criterion = self.criterion or published_criterion(module.representation)
        if not self._history:
            self._take(trainer, pl_module)
            self.settle()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Copy the embeddings if it is time to."""
        step = trainer.global_step
        if made_update(trainer) and (step % self.every_n_steps == 0 or step == trainer.max_steps):
            self._take(trainer, pl_module)
            if len(self._pending) == PENDING or self.every_n_steps >= PENDING:
                self.settle()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge what is left."""
        self.settle()

    def state_dict(self) -> dict[str, Any]:
        """All evaluations so far; the step found follows from them."""
        self.settle()
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's evaluations."""
        for step, quality, predicted in state_dict["history"].tolist():
            self._record(int(step), quality, predicted)

    def status(self) -> dict[str, str]:
        """The last RQI judged."""
        return {"RQI": f"{self._history[-1][1]:.2f}"} if self._history else {}

    def summary(self) -> dict[str, Any]:
        """The step found, the final RQI and the accuracy that the final representation predicts."""
        self.settle()
        if not self._history:
            return {}
        _, quality, predicted = self._history[-1]
        return {"steps_to_rqi": self.steps_to_rqi, "rqi": quality, "predicted_accuracy": predicted}

    def _take(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._pending.append((trainer.global_step, pl_module.representation.embeddings.clone()))

    def settle(self) -> None:
        """Judge and log the embeddings copied so far."""
        if not self._pending:
            return
        steps = [step for step, _ in self._pending]
        stack = Representation(torch.stack([embeddings for _, embeddings in self._pending]), self._combine)
        self._pending.clear()
        qualities = rqi(stack, self._table, self._criterion).tolist()
        predictions = predicted_accuracy(stack, self._table, self._train, self._criterion).tolist()
        for step, quality, predicted in zip(steps, qualities, predictions, strict=True):
            self._record(step, quality, predicted)
            if step % self._trainer.log_every_n_steps < self.every_n_steps:  # type: ignore[attr-defined]
                log(self._trainer, step, {"rqi": quality, "predicted_accuracy": predicted})

    def _record(self, step: int, quality: float, predicted: float) -> None:
        self._history.append((step, quality, predicted))
        if self.steps_to_rqi is None and quality > self.threshold:
            self.steps_to_rqi = step
