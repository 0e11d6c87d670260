"""Quality of the representation during training: RQI and predicted accuracy (section 3.1 of the paper)."""

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.callbacks.measurement import Measurement, Values
from grokking_pl.callbacks.reporting import require_combination, require_table
from grokking_pl.errors import UserError
from grokking_pl.metrics import Criterion, Representation, predicted_accuracy, published_criterion, rqi

PENDING = 200


class RepresentationQuality(Measurement):
    """Finds the first step at which the representation quality index exceeds its threshold.

    Steps count updates. Embeddings are copied at each measurement and evaluated in batches, so measuring every step
    costs little.

    Args:
        every_n_steps: steps between measurements.
        threshold: RQI above which the representation counts as formed (0.95 in figures 4 and 5).
        criterion: when two combined embeddings count as equal; null for the criterion of the authors' published code.

    Raises:
        UserError: a parameter is out of range, the network has no embeddings or does not declare how it combines
            two, the data have no operation table, or an embedding is nan or infinite.
    """

    thins_log = True
    needs_only_embeddings = True

    def __init__(self, every_n_steps: int = 100, threshold: float = 0.95, criterion: Criterion | None = None) -> None:
        super().__init__(every_n_steps)
        if not 0 <= threshold < 1:
            raise UserError(f"RepresentationQuality: threshold is {threshold}; it must be at least 0 and below 1")
        self.threshold = threshold
        self.criterion = criterion
        self.most_pending = PENDING if every_n_steps < PENDING else 1
        self.steps_to_rqi: int | None = None
        self._history: list[tuple[float, float, float]] = []

    @property
    def history(self) -> Float[Tensor, "evaluations 3"]:
        """Every measurement: step, RQI, predicted accuracy on the whole table."""
        return torch.tensor(self._history, dtype=torch.float64).reshape(-1, 3)

    @property
    def values(self) -> Values:
        """The last RQI and predicted accuracy."""
        if not self._history:
            return {}
        _, quality, predicted = self._history[-1]
        return {"rqi": quality, "predicted_accuracy": predicted}

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are embeddings, a combination of two, and an operation table."""
        require_table(trainer, "RepresentationQuality")
        require_combination(pl_module, "RepresentationQuality")

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepare the evaluation of representations."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        module: Any = pl_module
        self._table = data.table
        self._train = data.train_indices.to(trainer.strategy.root_device)
        self._combine = module.representation.combine
        self._criterion = self.criterion or published_criterion(module.representation)

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> Float[Tensor, "p d"]:
        """A copy of the embeddings."""
        embeddings: Tensor = pl_module.representation.embeddings
        return embeddings.clone()

    def evaluate(self, steps: Sequence[int], values: Sequence[Float[Tensor, "p d"]]) -> None:
        """Evaluate the copies in one call."""
        copies = Representation(torch.stack(list(values)), self._combine)
        qualities = rqi(copies, self._table, self._criterion).tolist()
        predictions = predicted_accuracy(copies, self._table, self._train, self._criterion).tolist()
        super().evaluate(steps, list(zip(qualities, predictions, strict=True)))

    def keep(self, step: int, measured: tuple[float, float]) -> None:
        """Record RQI and predicted accuracy."""
        quality, predicted = measured
        self._history.append((step, quality, predicted))
        if self.steps_to_rqi is None and quality > self.threshold:
            self.steps_to_rqi = step

    def state_dict(self) -> dict[str, Any]:
        """All measurements so far, from which the threshold step follows."""
        self.settle()
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a checkpoint's measurements."""
        for step, *measured in state_dict["history"].tolist():
            self._step = int(step)
            self.keep(self._step, measured)

    def status(self) -> dict[str, str]:
        """The last RQI."""
        return {"RQI": f"{self._history[-1][1]:.2f}"} if self._history else {}

    def summary(self) -> dict[str, Any]:
        """The threshold step, the final RQI and the final predicted accuracy."""
        values = super().summary()
        return {"steps_to_rqi": self.steps_to_rqi, **values} if values else {}
