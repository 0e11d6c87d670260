"""When the two accuracies pass their thresholds, and what phase of learning that makes (table 1 of the paper)."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.callbacks.reporting import Reporting, log, made_update
from grokking_pl.errors import UserError
from grokking_pl.metrics.phases import Phase, classify

EVALUATION_CHUNK = 2048
PENDING = 64


class PhaseTracker(pl.Callback, Reporting):
    """Finds the first step at which the accuracy on the whole training and validation set passes its threshold.

    A step is counted as the number of updates made: step 0 is the initial network. Evaluations change nothing in the
    training. On a GPU their results stay on the device and are fetched in batches, so that no step waits for them.

    Args:
        every_n_steps: steps between evaluations. The steps found are multiples of it.
        train_threshold: accuracy on the training set that counts as memorised.
        val_threshold: accuracy on the validation set that counts as generalised.
        window: steps for which an accuracy must stay at its threshold or above; 0 accepts the first crossing.
        delay: from this many steps between the two crossings on, the run grokked.
        budget: steps within which the thresholds must be reached.
        stop_when_decided: end the run as soon as nothing can change its phase.

    Raises:
        UserError: a parameter is out of its range, or the datamodule has no ``train_set`` and ``val_set``.
    """

    def __init__(
        self,
        every_n_steps: int = 100,
        train_threshold: float = 0.9,
        val_threshold: float = 0.9,
        window: int = 0,
        delay: int = 1000,
        budget: int = 100_000,
        stop_when_decided: bool = False,
    ) -> None:
        super().__init__()
        for name, number, least in (
            ("every_n_steps", every_n_steps, 1),
            ("window", window, 0),
            ("delay", delay, 0),
            ("budget", budget, 1),
        ):
            if number < least:
                raise UserError(f"PhaseTracker: {name} is {number}; it must be at least {least}")
        for name, threshold in (("train_threshold", train_threshold), ("val_threshold", val_threshold)):
            if not 0 < threshold <= 1:
                raise UserError(f"PhaseTracker: {name} is {threshold}; it must be above 0 and at most 1")
        self.every_n_steps = every_n_steps
        self.thresholds = (train_threshold, val_threshold)
        self.window = window
        self.delay = delay
        self.budget = budget
        self.stop_when_decided = stop_when_decided
        self._history: list[tuple[float, ...]] = []
        self._pending: list[tuple[int, Float[Tensor, " 4"]]] = []
        self._chunks: list[tuple[tuple[Tensor, Tensor], int]] | None = None
        # By set, training and validation: the first step of the present stay above the threshold, and the step found.
        self._since: list[int | None] = [None, None]
        self._reached: list[int | None] = [None, None]

    # What has been found.

    @property
    def steps_to_train(self) -> int | None:
        """Step at which the training accuracy passed its threshold; None if it has not within the budget."""
        return self._reached[0]

    @property
    def steps_to_val(self) -> int | None:
        """Step at which the validation accuracy passed its threshold; None if it has not within the budget."""
        return self._reached[1]

    @property
    def phase(self) -> Phase:
        """The phase so far."""
        return classify(self.steps_to_train, self.steps_to_val, self.delay)

    @property
    def decided(self) -> bool:
        """Whether no further training can change the phase."""
        return None not in self._reached or (bool(self._history) and self._history[-1][0] >= self.budget)

    @property
    def history(self) -> Float[Tensor, "evaluations 5"]:
        """Every evaluation: step, training accuracy, validation accuracy, training loss, validation loss."""
        return torch.tensor(self._history, dtype=torch.float64).reshape(-1, 5)

    # Lightning's hooks.

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Evaluate the initial network."""
        self._trainer = trainer
        if not (hasattr(trainer.datamodule, "train_set") and hasattr(pl_module, "evaluate")):  # type: ignore[attr-defined]
            raise UserError(
                "PhaseTracker needs a datamodule with train_set and val_set, and a module with evaluate(batch): "
                "derive them from TensorDataModule and GrokkingModule"
            )
        self._chunks = None
        if not self._history:
            self._evaluate(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Evaluate the network if it is time to, and stop the run if asked to."""
        step = trainer.global_step
        if made_update(trainer) and (step % self.every_n_steps == 0 or step == trainer.max_steps):
            self._evaluate(trainer, pl_module)
        if self.stop_when_decided and self.decided:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fetch what is still on the device."""
        self.settle()

    def state_dict(self) -> dict[str, Any]:
        """All evaluations so far; what was found follows from them."""
        self.settle()
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's evaluations."""
        for row in state_dict["history"].tolist():
            self._record(tuple(row))

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
            "train_accuracy": train_accuracy,
            "val_accuracy": val_accuracy,
            "train_loss": train_loss,
            "val_loss": val_loss,
            "best_train_accuracy": best_train_accuracy,
            "best_val_accuracy": best_val_accuracy,
        }

    # Evaluating.

    def _evaluate(self, trainer: pl.Trainer, module: Any) -> None:
        parts = []
        for batch, train in self._batches(trainer):
            losses, correct = module.evaluate(batch)
            # (correct and loss, samples) -> correct and loss on the training set, then on the validation set
            both = torch.stack((correct.to(losses.dtype), losses))
            parts.append(torch.cat((both[:, :train].sum(1), both[:, train:].sum(1))))
        sums = parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
        if trainer.world_size > 1:
            sums = trainer.strategy.reduce(sums, reduce_op="sum")
        self._pending.append((trainer.global_step, sums))
        if sums.device.type == "cpu" or len(self._pending) == PENDING or self.every_n_steps >= PENDING:
            self.settle()

    def _batches(self, trainer: pl.Trainer) -> list[tuple[tuple[Tensor, Tensor], int]]:
        """This process's share of all samples, in chunks, and how many of each chunk are training samples."""
        if self._chunks is None:
            data = trainer.datamodule  # type: ignore[attr-defined]
            rank, world_size = trainer.global_rank, trainer.world_size
            self._chunks = []
            for start in range(0, len(data.inputs), EVALUATION_CHUNK):
                mine = slice(start + rank, start + EVALUATION_CHUNK, world_size)
                train = max(0, -(-(data.num_train - mine.start) // world_size))
                self._chunks.append(((data.inputs[mine], data.targets[mine]), train))
        return self._chunks

    def settle(self) -> None:
        """Fetch and log the evaluations that are still on the device."""
        if not self._pending:
            return
        data = self._trainer.datamodule  # type: ignore[attr-defined]
        num_val = len(data.inputs) - data.num_train
        for step, sums in self._pending:
            train_accuracy, train_loss, val_accuracy, val_loss = (
                total / max(1, count)
                for total, count in zip(sums.tolist(), (data.num_train, data.num_train, num_val, num_val), strict=True)
            )
            self._record((step, train_accuracy, val_accuracy, train_loss, val_loss))
            if step % self._trainer.log_every_n_steps < self.every_n_steps:  # type: ignore[attr-defined]
                log(
                    self._trainer,
                    step,
                    {
                        "train_accuracy": train_accuracy,
                        "val_accuracy": val_accuracy,
                        "train_loss": train_loss,
                        "val_loss": val_loss,
                        "phase": list(Phase).index(self.phase),
                        "phase_name": str(self.phase),
                    },
                )
        self._pending.clear()

    def _record(self, row: tuple[float, ...]) -> None:
        self._history.append(row)
        step = int(row[0])
        for which, (accuracy, threshold) in enumerate(zip(row[1:3], self.thresholds, strict=True)):
            if self._reached[which] is not None:
                continue
            if accuracy < threshold:
                self._since[which] = None
                continue
            if self._since[which] is None:
                self._since[which] = step
            since = self._since[which]
            if since is not None and since <= self.budget and step - since >= self.window:
                self._reached[which] = since
