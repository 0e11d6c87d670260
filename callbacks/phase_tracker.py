"""Threshold crossings of the two accuracies, and the phase of learning (table 1 of the paper)."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.callbacks.measurement import Measurement, Values
from grokking_pl.callbacks.sample_shares import Share, add_over_processes, sample_shares
from grokking_pl.errors import UserError
from grokking_pl.metrics.crossings import Crossings, PhaseCriteria, check_criteria, further_columns
from grokking_pl.metrics.phases import Phase, classify

PENDING = 64


class PhaseTracker(Measurement):
    """Finds the first steps at which training and validation accuracy reach their thresholds.

    Accuracies are over the full sets. Steps count updates; step 0 is the initial network. Evaluations do not affect the
    training. On a GPU results stay on the device and are fetched in batches, so no step waits for them.

    Args:
        every_n_steps: steps between evaluations.
        train_threshold: training accuracy that counts as memorised.
        val_threshold: validation accuracy that counts as generalised.
        window: steps for which an accuracy must stay at or above its threshold; 0 accepts the first crossing.
        delay: a run grokked if the crossings are at least this many steps apart.
        budget: steps within which the thresholds must be reached, and held for the window.
        stop_when_decided: end the run as soon as the phase and the steps to further thresholds are final.
        further_thresholds: further accuracies, ascending, whose first steps on both sets are recorded too, as
            ``steps_to_train_0.6`` and ``steps_to_val_0.6`` in the summary; they do not affect the phase.

    Raises:
        UserError: a parameter is out of range, or the datamodule has no ``train_set`` and ``val_set``.
    """

    thins_log = True

    def __init__(
        self,
        every_n_steps: int = 100,
        train_threshold: float = 0.9,
        val_threshold: float = 0.9,
        window: int = 0,
        delay: int = 1000,
        budget: int = 100_000,
        stop_when_decided: bool = False,
        further_thresholds: list[float] | None = None,
    ) -> None:
        criteria = {
            "every_n_steps": every_n_steps,
            "train_threshold": train_threshold,
            "val_threshold": val_threshold,
            "window": window,
            "delay": delay,
            "further_thresholds": further_thresholds,
        }
        check_criteria("PhaseTracker: ", **criteria, budget=budget)
        super().__init__(every_n_steps)
        self.criteria = PhaseCriteria(**criteria)  # type: ignore[arg-type]
        self.budget = budget
        self.stop_when_decided = stop_when_decided
        self._history: list[tuple[float, ...]] = []
        self._shares: list[Share] = []
        self._sizes = (0, 0)
        self._crossings = Crossings(self.criteria, budget, self._sizes)

    # Outcome so far.

    @property
    def thresholds(self) -> tuple[float, float]:
        """Training and validation accuracy that count as memorised and generalised."""
        return self.criteria.train_threshold, self.criteria.val_threshold

    @property
    def steps_to_train(self) -> int | None:
        """Step at which training accuracy reached its threshold; None if not within the budget."""
        return self._crossings.steps[0]

    @property
    def steps_to_val(self) -> int | None:
        """Step at which validation accuracy reached its threshold; None if not within the budget."""
        return self._crossings.steps[1]

    @property
    def phase(self) -> Phase:
        """The phase so far."""
        return classify(*self._crossings.steps, self.criteria.delay)

    @property
    def decided(self) -> bool:
        """Whether the phase and the steps to further thresholds are final."""
        return self._crossings.decided

    @property
    def history(self) -> Float[Tensor, "evaluations 5"]:
        """Every evaluation: step, training accuracy, validation accuracy, training loss, validation loss."""
        return torch.tensor(self._history, dtype=torch.float64).reshape(-1, 5)

    @property
    def values(self) -> Values:
        """The last accuracies and losses, and the phase so far."""
        if not self._history:
            return {}
        phase = self.phase
        names = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")
        accuracies_and_losses = dict(zip(names, self._history[-1][1:], strict=True))
        return {**accuracies_and_losses, "phase": list(Phase).index(phase), "phase_name": str(phase)}

    def reason_to_stop(self) -> str | None:
        """The reason to end the run: that the phase is decided, if ``stop_when_decided`` is set."""
        return "phase decided" if self.stop_when_decided and self._history and self.decided else None

    # Lightning's hooks.

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if a checkpoint's evaluations have decided the phase."""
        super().on_fit_start(trainer, pl_module)
        if self.reason_to_stop():
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Evaluate the network if due, and stop the run if required."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self.reason_to_stop():
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """All evaluations so far, from which everything else follows."""
        self.settle()
        return {"history": self.history, "sizes": self._sizes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a checkpoint's evaluations."""
        self._history = [tuple(row) for row in state_dict["history"].tolist()]
        self._step = int(self._history[-1][0]) if self._history else None
        self._track(state_dict["sizes"])

    def status(self) -> dict[str, str]:
        """Both accuracies and the phase so far."""
        if not self._history:
            return {}
        _, train, val, _, _ = self._history[-1]
        return {"train": f"{train:.3f}", "val": f"{val:.3f}", "phase": str(self.phase)}

    def summary(self) -> dict[str, Any]:
        """The phase, both steps and the final metrics."""
        self.settle()
        if not self._history:
            return {}
        _, train_accuracy, val_accuracy, train_loss, val_loss = self._history[-1]
        best_train_accuracy, best_val_accuracy = self.history[:, 1:3].amax(0).tolist()
        return {
            "phase": str(self.phase),
            "phase_decided": self.decided,
            "steps_to_train": self.steps_to_train,
            "steps_to_val": self.steps_to_val,
            **dict(zip(further_columns(self.criteria.further_thresholds), self._crossings.further, strict=True)),
            "train_accuracy": train_accuracy,
            "val_accuracy": val_accuracy,
            "train_loss": train_loss,
            "val_loss": val_loss,
            "best_train_accuracy": best_train_accuracy,
            "best_val_accuracy": best_val_accuracy,
        }

    # Evaluation.

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that both sets can be evaluated."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not (hasattr(data, "train_set") and hasattr(pl_module, "evaluate")):
            raise UserError(
                "PhaseTracker needs a datamodule with train_set and val_set, and a module with evaluate(batch): "
                "derive them from TensorDataModule and GrokkingModule"
            )

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the sizes of both sets."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.most_pending = (
            1 if trainer.strategy.root_device.type == "cpu" or self.every_n_steps >= PENDING else PENDING
        )
        self._shares = sample_shares(trainer)
        self._track((data.num_train, len(data.inputs) - data.num_train))

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> Float[Tensor, " 4"]:
        """The number of correct samples and the summed losses on the training and validation sets."""
        parts = []
        for batch, train in self._shares:
            losses, correct = pl_module.evaluate(batch)
            # Half precision cannot count the samples.
            losses = losses.to(torch.promote_types(losses.dtype, torch.float32))
            # (correct and loss, samples) -> correct and loss on the training set, then on the validation set
            both = torch.stack((correct.to(losses.dtype), losses))
            parts.append(torch.cat((both[:, :train].sum(1), both[:, train:].sum(1))))
        return add_over_processes(trainer, parts[0] if len(parts) == 1 else torch.stack(parts).sum(0))

    def keep(self, step: int, measured: Float[Tensor, " 4"]) -> None:
        """Record an evaluation."""
        train_correct, train_loss, val_correct, val_loss = measured.tolist()
        train, val = max(1, self._sizes[0]), max(1, self._sizes[1])
        self._history.append((step, train_correct / train, val_correct / val, train_loss / train, val_loss / val))
        self._crossings.update(step, (round(train_correct), round(val_correct)))

    def _track(self, sizes: tuple[int, int]) -> None:
        """Recompute the crossings from the history, for these numbers of samples."""
        self._sizes = sizes
        self._crossings = Crossings(self.criteria, self.budget, sizes)
        for step, train, val, *_ in self._history:
            self._crossings.update(int(step), (round(train * sizes[0]), round(val * sizes[1])))
