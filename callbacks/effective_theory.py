"""Prediction of a run from its training set, compared with the run (section 3.2 and figure 4 of the paper)."""

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import (
    draw,
    keep_arrays,
    log,
    reporting_callbacks,
    require_combination,
    require_table,
    tell,
    tell_failure,
    writes_files,
)
from grokking_pl.callbacks.representation_quality import RepresentationQuality
from grokking_pl.errors import UserError
from grokking_pl.theory import Prediction, predict, theory_beside_network
from grokking_pl.theory.prediction import UNFAITHFUL

MOST_SNAPSHOTS = 256
THEORY_POINTS = 400


class EffectiveTheory(Measurement):
    """Predicts a run from its training set, and compares at the end of the run.

    At the start it logs ``lambda_3``, ``n0``, ``ideal_accuracy`` and, if the structure is unique, ``predicted_steps``,
    1 / (lambda_3 eta). At the end it compares them with the step measured by `RepresentationQuality`, and draws the
    theory's trajectories, from the network's normalised initial embeddings, beside the network's: ``trajectories.png``,
    with the numbers in ``trajectories.npz``.

    Args:
        every_n_steps: steps between records of the embeddings. At 256 records every second one is dropped and the
            interval is doubled, so runs of any length can be recorded.
        learning_rate: eta in the predicted steps; null for the optimizer's learning rate of the embeddings.

    Raises:
        UserError: a parameter is out of range, the network has no embeddings or does not add them, the data have no
            operation table, the operation does not commute, or the learning rate is unknown.
    """

    needs_only_embeddings = True

    def __init__(self, every_n_steps: int = 10, learning_rate: float | None = None) -> None:
        super().__init__(every_n_steps)
        if learning_rate is not None and not 0 < learning_rate < math.inf:
            raise UserError(f"EffectiveTheory: learning_rate is {learning_rate}; it must be a positive number, or null")
        self.learning_rate = learning_rate
        self.prediction: Prediction | None = None
        self.state["snapshots"] = {}  # embeddings by step

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that the network adds embeddings of the symbols of an operation that commutes."""
        data = require_table(trainer, "EffectiveTheory")
        module: Any = pl_module
        require_combination(module, "EffectiveTheory")
        if not module.representation.adds:
            raise UserError(
                "EffectiveTheory: this network does not add its embeddings, but the theory is about sums E_a + E_b: "
                "remove the callback"
            )
        try:
            self.prediction = predict(data.table, data.train_indices.cpu())
        except UserError as error:
            raise UserError(f"EffectiveTheory: {error}") from None

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the prediction."""
        self._eta = _embeddings_rate(trainer) if self.learning_rate is None else self.learning_rate
        if trainer.global_step == 0:
            numbers = {name: value for name, value in self._predicted().items() if value is not None}
            log(trainer, 0, {name: value for name, value in numbers.items() if not isinstance(value, bool)})

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """Record the embeddings; no value is logged."""
        snapshots = self.state["snapshots"]
        if len(snapshots) >= MOST_SNAPSHOTS:
            self.every_n_steps *= 2
            snapshots = self._on_schedule()
        self.state["snapshots"] = {
            **snapshots,
            trainer.global_step: pl_module.representation.embeddings.cpu().clone(),
        }
        return {}

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the final embeddings, which a checkpoint to resume from does not need."""
        super().on_train_end(trainer, pl_module)
        if trainer.global_step not in self.state["snapshots"]:
            self.measure(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the comparison, below the finished progress bar, and draw the trajectories."""
        if self.prediction is None:
            return
        if trainer.is_global_zero:
            tell(f"effective theory: {self.comparison()}")
        if writes_files(trainer):
            try:
                self._write_trajectories(trainer)
            except Exception as error:
                tell_failure("trajectories", error)

    def state_dict(self) -> dict[str, Any]:
        """The records so far, without one at the end that a longer run would not have."""
        state = super().state_dict()
        return state | {"state": {"interval": self.every_n_steps, "snapshots": self._on_schedule()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a checkpoint's records; the prediction follows from the training set."""
        super().load_state_dict(state_dict)
        self.every_n_steps = self.state["interval"]

    def status(self) -> dict[str, str]:
        """The nullity, which is 2 if addition's structure is implied."""
        return {} if self.prediction is None else {"n0": str(self.prediction.n0)}

    def summary(self) -> dict[str, Any]:
        """The prediction, the ratio of measured to predicted step, and the comparison in words."""
        if self.prediction is None:
            return {}
        predicted, measured = self._predicted(), self._measured()
        steps = predicted["predicted_steps"]
        return predicted | {
            "measured_over_predicted": None if steps is None or measured is None else measured / steps,
            "theory_comparison": self.comparison(),
        }

    def comparison(self) -> str:
        """The comparison of the run with the prediction, in words."""
        assert self.prediction is not None
        quality = self._quality()
        steps = self._predicted()["predicted_steps"]
        after = "never" if steps is None else f"after {steps:.0f} steps"
        words = (
            f"a unique structure is implied (n0 = {self.prediction.n0}) and predicted {after}; "
            if self.prediction.unique
            else f"no unique structure is implied (n0 = {self.prediction.n0}, and {self.prediction.full_nullity} if it "
            "were); "
        )
        if not self.prediction.faithful:
            words += f"it {UNFAITHFUL}; "
        if quality is None:
            return words + "the network's structure is unknown: add the callback RepresentationQuality"
        measured = self._measured()
        if measured is None:
            last = self._trainer.global_step
            return words + f"the network's RQI did not pass {quality.threshold:g} in {last} steps"
        words += f"the network's RQI passed {quality.threshold:g} at step {measured}"
        return words + (f", {measured / steps:.3g} of the prediction" if steps else "")

    def _on_schedule(self) -> dict[int, Any]:
        snapshots: dict[int, Any] = self.state["snapshots"]
        return {step: embeddings for step, embeddings in snapshots.items() if step % self.every_n_steps == 0}

    def _predicted(self) -> dict[str, Any]:
        """The prediction as plain values; None for infinite steps."""
        assert self.prediction is not None
        steps = self.prediction.steps(self._eta)
        return {
            "lambda_3": self.prediction.lambda_3,
            "n0": self.prediction.n0,
            "unique_structure": self.prediction.unique,
            "ideal_accuracy": self.prediction.ideal_accuracy,
            "predicted_steps": steps if math.isfinite(steps) else None,
        }

    def _quality(self) -> RepresentationQuality | None:
        callbacks = reporting_callbacks(self._trainer)
        return next((callback for callback in callbacks if isinstance(callback, RepresentationQuality)), None)

    def _measured(self) -> int | None:
        quality = self._quality()
        if quality is None:
            return None
        quality.settle()
        return quality.steps_to_rqi

    def _write_trajectories(self, trainer: pl.Trainer) -> None:
        assert self.prediction is not None
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        steps, embeddings = zip(*sorted(self.state["snapshots"].items()), strict=True)
        both = theory_beside_network(
            self.prediction, data.table, data.train_indices.cpu(), self._eta, steps, torch.stack(embeddings),
            THEORY_POINTS,
        )  # fmt: skip
        if both is None:
            return
        arrays = vars(both) | {"symbols": np.array(both.symbols)}
        keep_arrays(trainer, "trajectories.npz", **arrays)
        predicted, measured = self.prediction.steps(self._eta), self._measured()

        def make() -> Any:
            from grokking_pl.plots.trajectories import trajectories  # matplotlib is slow to import

            return trajectories(**vars(both), predicted=predicted, measured=measured)

        draw(trainer, "trajectories.png", make)


def _embeddings_rate(trainer: pl.Trainer) -> float:
    """The optimizer's initial learning rate of the embeddings.

    Raises:
        UserError: no group of the optimizer is named ``embeddings``, or its rate is 0.
    """
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            if group.get("name") == "embeddings" and group["lr"] > 0:
                return float(group.get("initial_lr", group["lr"]))
    raise UserError(
        "EffectiveTheory: the optimizer has no group 'embeddings' with a learning rate above 0: give learning_rate"
    )
