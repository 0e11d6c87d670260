"""What the training set alone predicts of a run, beside what the run does (section 3.2 and figure 4 of the paper)."""

import math
import sys
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from grokking_pl.callbacks.reporting import Reporting, log, require_table, run_folder
from grokking_pl.callbacks.representation_quality import RepresentationQuality
from grokking_pl.errors import UserError
from grokking_pl.theory import Prediction, normalised, normalised_flow, predict

MOST_SNAPSHOTS = 256
THEORY_POINTS = 400
SHOWN_TIMES = 10
"""How many times 1 / lambda_3 the theory's trajectories are drawn for; the paper's were straight after about three."""


class EffectiveTheory(pl.Callback, Reporting):
    """Predicts a run from its training set, and compares when the run ends.

    At the start it logs ``lambda_3``, ``n0``, ``ideal_accuracy`` and, if the structure is unique, ``predicted_steps``,
    1 / (lambda_3 eta). At the end it sets them beside the step that `RepresentationQuality` found, and draws theory's
    trajectories, from the network's normalised initial embeddings, beside the network's: ``trajectories.png``, with the
    numbers in ``trajectories.npz``.

    Args:
        every_n_steps: steps between two records of the embeddings. From 256 records on every second one is dropped and
            the interval doubled, so that a run of any length can be recorded.
        learning_rate: eta in the predicted steps; null for that of the optimizer's embeddings.

    Raises:
        UserError: a parameter is out of range, the network has no embeddings or does not add them, the data have no
            operation table, the operation does not commute, or the learning rate is not known.
    """

    def __init__(self, every_n_steps: int = 10, learning_rate: float | None = None) -> None:
        super().__init__()
        if every_n_steps < 1:
            raise UserError(f"EffectiveTheory: every_n_steps is {every_n_steps}; it must be at least 1")
        if learning_rate is not None and not 0 < learning_rate < math.inf:
            raise UserError(f"EffectiveTheory: learning_rate is {learning_rate}; it must be a positive number, or null")
        self.every_n_steps = every_n_steps
        self.learning_rate = learning_rate
        self.prediction: Prediction | None = None
        self._interval = every_n_steps
        self._snapshots: dict[int, Float[Tensor, "p d"]] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Predict, and record the initial embeddings."""
        data: Any = require_table(trainer, "EffectiveTheory")
        module: Any = pl_module
        if not module.representation.adds:
            raise UserError(
                "EffectiveTheory: this network does not add its embeddings, but the theory is about sums E_a + E_b: "
                "remove the callback"
            )
        self._eta = _embeddings_rate(trainer) if self.learning_rate is None else self.learning_rate
        self._trainer = trainer
        try:
            self.prediction = predict(data.table, data.train_indices.cpu())
        except UserError as error:
            raise UserError(f"EffectiveTheory: {error}") from None
        if trainer.global_step == 0:
            numbers = {name: value for name, value in self._predicted().items() if value is not None}
            log(trainer, 0, {name: value for name, value in numbers.items() if not isinstance(value, bool)})
            self._take(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the embeddings if it is time to."""
        if trainer.global_step % self._interval == 0:
            self._take(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the trajectories."""
        self._take(trainer, pl_module)
        if trainer.is_global_zero:
            self._draw(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how the run compares, below the progress bar that has ended."""
        if trainer.is_global_zero:
            Console(file=sys.stderr, soft_wrap=True).print(f"effective theory: {self.comparison()}", highlight=False)

    def state_dict(self) -> dict[str, Any]:
        """The records so far; the prediction follows from the training set."""
        return {"interval": self._interval, "snapshots": dict(self._snapshots)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's records."""
        self._interval = state_dict["interval"]
        self._snapshots = dict(state_dict["snapshots"])

    def status(self) -> dict[str, str]:
        """The nullity, which is 2 where addition's structure is implied."""
        return {} if self.prediction is None else {"n0": str(self.prediction.n0)}

    def summary(self) -> dict[str, Any]:
        """What was predicted, the measured step over the predicted one, and the comparison in words."""
        if self.prediction is None:
            return {}
        predicted, measured = self._predicted(), self._measured()
        steps = predicted["predicted_steps"]
        return predicted | {
            "measured_over_predicted": None if steps is None or measured is None else measured / steps,
            "theory_comparison": self.comparison(),
        }

    def comparison(self) -> str:
        """How the run compares with the prediction, in words."""
        assert self.prediction is not None
        quality = self._quality()
        steps = self._predicted()["predicted_steps"]
        implied = self.prediction.unique
        words = (
            f"a unique structure is implied (n0 = {self.prediction.n0}) and predicted after {steps:.0f} steps; "
            if implied
            else f"no unique structure is implied (n0 = {self.prediction.n0}, and {self.prediction.full_nullity} if it "
            "were); "
        )
        if not self.prediction.faithful:
            words += "it does not keep this task's results apart, so that a network may well find another; "
        if quality is None:
            return words + "what the network found is not known: add the callback RepresentationQuality"
        measured = self._measured()
        if measured is None:
            last = self._trainer.global_step
            return words + f"the network's RQI did not pass {quality.threshold:g} in {last} steps"
        found = f"the network's RQI passed {quality.threshold:g} at step {measured}"
        return words + found + (f", {measured / steps:.3g} of the prediction" if steps else "")

    def _predicted(self) -> dict[str, Any]:
        """The prediction as plain values; None for steps that are never enough."""
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
        callbacks = self._trainer.callbacks  # type: ignore[attr-defined]
        return next((each for each in callbacks if isinstance(each, RepresentationQuality)), None)

    def _measured(self) -> int | None:
        quality = self._quality()
        if quality is None:
            return None
        quality.settle()
        return quality.steps_to_rqi

    def _take(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if len(self._snapshots) >= MOST_SNAPSHOTS:
            self._interval *= 2
            self._snapshots = {step: e for step, e in self._snapshots.items() if step % self._interval == 0}
        self._snapshots[trainer.global_step] = pl_module.representation.embeddings.cpu().clone()

    def _draw(self, trainer: pl.Trainer) -> None:
        from grokking_pl.plots.trajectories import trajectories  # matplotlib takes a second to import

        assert self.prediction is not None
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        # Embeddings that have all become equal have no normalised form.
        varied = {step: e for step, e in sorted(self._snapshots.items()) if e.std(dim=0).any()}
        if 0 not in varied:
            return
        network = normalised(torch.stack(list(varied.values())))
        # Without a unique structure the slowest of the modes that do decay sets the scale.
        decaying = self.prediction.spectrum[self.prediction.spectrum > 0]
        last = SHOWN_TIMES / float(decaying[0]) if len(decaying) else max(varied) * self._eta
        times = torch.linspace(0, last, THEORY_POINTS, dtype=torch.float64)
        theory = normalised_flow(network[0], data.table, data.train_indices.cpu(), times)
        arrays = {
            "theory_steps": (times / self._eta).numpy(),
            "theory": theory.numpy(),
            "network_steps": np.array(list(varied)),
            "network": network.numpy(),
        }
        symbols = data.table.symbols
        folder = run_folder(trainer).path
        np.savez_compressed(folder / "trajectories.npz", allow_pickle=False, symbols=np.array(symbols), **arrays)
        figure = trajectories(
            **arrays, symbols=symbols, predicted=self.prediction.steps(self._eta), measured=self._measured()
        )
        figure.savefig(folder / "trajectories.png", dpi=150)


def _embeddings_rate(trainer: pl.Trainer) -> float:
    """The learning rate with which the run's optimizer begins on the embeddings.

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
