"""Memorisation or generalisation of each sample with a corrupted label."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool
from torch import Tensor

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import require_scores, run_folder, writes_files
from grokking_pl.callbacks.sample_shares import EVALUATION_CHUNK
from grokking_pl.errors import UserError
from grokking_pl.runs.files import RESUME_ADVICE, write_table, writing

COLUMNS = ("sample", "given_class", "true_class", "outcome")


class CorruptedAccuracy(Measurement):
    """Logs training accuracy on clean and corrupted samples separately, and accuracy on the true classes of the latter.

    ``train_accuracy_clean`` and ``train_accuracy_corrupted`` are fractions of samples predicted as their training
    label; ``true_accuracy_corrupted`` is the fraction of corrupted samples predicted as their true class. The run
    folder gets ``corrupted_samples.csv``, one row per corrupted sample: its index in the training set, the label given,
    the true class, and the final outcome: "memorised" (the label given), "generalised" (the true class) or "neither".

    Args:
        every_n_steps: steps between measurements.

    Raises:
        UserError: every_n_steps is not positive, or the data have no corrupted labels.
    """

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that labels are corrupted."""
        require_scores(trainer, "CorruptedAccuracy")
        corrupted = getattr(trainer.datamodule, "corrupted", None)  # type: ignore[attr-defined]
        if corrupted is None or not corrupted.any():
            raise UserError("CorruptedAccuracy finds no corrupted labels: set data.corrupt_fraction above 0")

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Separate the samples."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        corrupted = data.corrupted
        inputs, targets = data.train_set
        mask = corrupted.to(inputs.device)
        self._true = data.true_classes.to(inputs.device)[mask]
        own = self._true if data.class_targets is None else data.class_targets.to(inputs.device)[self._true]
        self._clean = (inputs[~mask], targets[~mask])
        self._corrupted = (inputs[mask], targets[mask])
        self._own = (inputs[mask], own)
        self._samples = corrupted.nonzero().squeeze(1)
        self._outcomes: tuple[Tensor, Tensor] | None = None

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The three accuracies; on clean samples only if there are any."""
        memorised, generalised = _correct(pl_module, self._corrupted), _correct(pl_module, self._own)
        self._outcomes = memorised, generalised
        values = {
            "train_accuracy_corrupted": _share(memorised),
            "true_accuracy_corrupted": _share(generalised),
        }
        if len(self._clean[0]):
            values["train_accuracy_clean"] = _share(_correct(pl_module, self._clean))
        return values

    def status(self) -> dict[str, str]:
        """The accuracy on the corrupted labels."""
        if not self.values:
            return {}
        return {"corrupted": f"{self.values['train_accuracy_corrupted']:.3f}"}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Write the outcome of every corrupted sample."""
        if self._outcomes is None or not writes_files(trainer):  # resumed after its end
            return
        given = pl_module.true_class(self._corrupted[1])
        columns = (values.tolist() for values in (self._samples, given, self._true, *self._outcomes))
        path = run_folder(trainer).path / "corrupted_samples.csv"
        with writing(path, RESUME_ADVICE):
            write_table(
                path,
                COLUMNS,
                [
                    dict(zip(COLUMNS, (*numbers, _outcome(memorised, generalised)), strict=True))
                    for *numbers, memorised, generalised in zip(*columns, strict=True)
                ],
            )


def _correct(pl_module: Any, batch: tuple[Tensor, Tensor]) -> Bool[Tensor, " samples"]:
    parts = zip(*(part.split(EVALUATION_CHUNK) for part in batch), strict=True)
    return torch.cat([pl_module.evaluate(part)[1] for part in parts])


def _share(correct: Bool[Tensor, " samples"]) -> float:
    return float(correct.double().mean())


def _outcome(memorised: bool, generalised: bool) -> str:
    return "memorised" if memorised else "generalised" if generalised else "neither"
