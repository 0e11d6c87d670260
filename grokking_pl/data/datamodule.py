"""Base class of the datamodules: all samples as two tensors, training samples first."""

from abc import abstractmethod

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.data.batches import Batch, EvaluationBatches, IndexStream, TrainingBatches, shuffled
from grokking_pl.data.corruption import check_fraction, class_numbers, corrupted_classes
from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes

EVALUATION_BATCH = 2048
MOST = 2**63 - 1

LOADED = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("predict",)}
"""The sets of each stage, as in the names of the trainer's limits."""


def require_positive(**numbers: int | None) -> None:
    """Raise a `UserError` that names the first number below 1; None is no number."""
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}; it must be at least 1")


class TensorDataModule(pl.LightningDataModule):
    """Samples held as tensors on the training device, split into a training and a validation set.

    Subclasses implement ``load``. The attributes below are available after ``setup``.

    Args:
        batch_size: samples per training batch; None for the full training set.
        steps_per_epoch: training steps per Lightning epoch; validation and the ``on_train_epoch_end`` hooks of
            callbacks run once per epoch.
        seed: seed of the batch order and of the corrupted labels; None for ``run_seed``.
        corrupt_fraction: fraction of the training samples that get a wrong class.

    Attributes:
        inputs: inputs of all samples, training samples first.
        targets: their targets: class numbers or vectors.
        num_train: number of training samples.
        class_targets: target vector of each class if targets are vectors; else None.
        sizes: sizes that the architecture needs.
        corrupted: mask of the training samples with a wrong class.
        true_classes: true classes of the training samples, if some are corrupted.
        run_seed: seed of the run; commands set it to ``seed_everything``.
    """

    inputs: Shaped[Tensor, "samples ..."]
    targets: Shaped[Tensor, "samples ..."]
    num_train: int
    class_targets: Float[Tensor, "classes outputs"] | None
    sizes: Sizes
    corrupted: Bool[Tensor, " train"]
    true_classes: Int[Tensor, " train"]
    run_seed: int = 0

    def __init__(
        self,
        batch_size: int | None = None,
        steps_per_epoch: int = 1000,
        seed: int | None = None,
        corrupt_fraction: float = 0.0,
    ) -> None:
        super().__init__()
        check_fraction(corrupt_fraction)
        require_positive(batch_size=batch_size, steps_per_epoch=steps_per_epoch)
        for name, value in (("batch_size", batch_size), ("steps_per_epoch", steps_per_epoch)):
            if value is not None and value > MOST:
                raise UserError(f"{name} is {value}; it must be at most {MOST}")
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.corrupt_fraction = corrupt_fraction
        self._seed = seed
        self._loaded = False

    @abstractmethod
    def load(self) -> None:
        """Set ``inputs``, ``targets``, ``num_train``, ``class_targets`` and ``sizes``."""

    @property
    def seed(self) -> int:
        """The seed of the batch order."""
        return self.run_seed if self._seed is None else self._seed

    @property
    def train_set(self) -> Batch:
        """Inputs and targets of the training set."""
        return self.inputs[: self.num_train], self.targets[: self.num_train]

    @property
    def val_set(self) -> Batch:
        """Inputs and targets of the validation set."""
        return self.inputs[self.num_train :], self.targets[self.num_train :]

    def setup(self, stage: str | None = None) -> None:
        """Load the samples onto the trainer's device, once."""
        if not self._loaded:
            self.load()
            if self.corrupt_fraction:
                self._corrupt()
            self._loaded = True
        if self.trainer is not None:
            device = self.trainer.strategy.root_device
            self.inputs, self.targets = self.inputs.to(device), self.targets.to(device)
            self._check_limits(self.trainer, stage)

    def _check_limits(self, trainer: pl.Trainer, stage: str | None) -> None:
        """Raise a `UserError` for a limit that leaves nothing of a set, which a trainer notices later."""
        for name in LOADED.get(stage or "", ()):
            limit = getattr(trainer, f"limit_{name}_batches")
            batches = self.steps_per_epoch if name == "train" else len(self.val_dataloader())
            if isinstance(limit, float) and 0 < limit * batches < 1:
                raise UserError(
                    f"trainer.limit_{name}_batches is {limit}, less than one batch ({batches} in all): give a number "
                    f"of batches, or a fraction of at least {1 / batches:g}"
                )

    def _corrupt(self) -> None:
        """Give some training samples a wrong class."""
        classes = class_numbers(self.targets, self.class_targets)
        self.true_classes = classes[: self.num_train].clone()
        given, self.corrupted = corrupted_classes(self.true_classes, self.corrupt_fraction, classes.unique(), self.seed)
        self.targets = self.targets.clone()
        new = given if self.class_targets is None else self.class_targets[given]
        self.targets[: self.num_train][self.corrupted] = new[self.corrupted]

    def index_stream(self) -> IndexStream:
        """The indices of each batch's training samples."""
        return shuffled(self.num_train, min(self.batch_size or self.num_train, self.num_train), self.seed)

    def train_dataloader(self) -> TrainingBatches:
        """The stream of training batches."""
        return TrainingBatches(self.train_set, self.index_stream(), self.steps_per_epoch, *self._process())

    def val_dataloader(self) -> EvaluationBatches:
        """The validation set, each sample once."""
        return EvaluationBatches(self.val_set, EVALUATION_BATCH, *self._process())

    def test_dataloader(self) -> EvaluationBatches:
        """The validation set; there is no test split."""
        return self.val_dataloader()

    def predict_dataloader(self) -> EvaluationBatches:
        """The validation set."""
        return self.val_dataloader()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Return the batch unchanged: the samples are already on the device."""
        return batch

    def _process(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
