"""MNIST with a small training set and the full test set (section 4.3 and appendix J of the paper)."""

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Integer, UInt8
from torch import Tensor

from grokking_pl.data.datamodule import TensorDataModule, require_positive
from grokking_pl.data.idx import read_idx
from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes

BUNDLED = Path(__file__).parent / "mnist"
BUNDLED_TRAIN = ("train-images-5000-idx3-ubyte.gz", "train-labels-5000-idx1-ubyte.gz")
PUBLISHED = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
BUNDLED_TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
CLASSES = 10
SIDE = 28

Images = tuple[UInt8[Tensor, "_ rows columns"], Integer[Tensor, " _"]]


class MNISTDataModule(TensorDataModule):
    """MNIST, or images in its format, with a small training set; the validation set is the full test set.

    Args:
        train_size: number of training images.
        train_seed: seed for a random choice of training images; null takes the first ones, as published.
        targets: "one_hot" vectors for the mean squared error, or "class" numbers for cross entropy.
        batch_size: images per training batch; null for the full training set.
        data_dir: folder with the four MNIST files, or with other images in the same format such as Fashion-MNIST:
            ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, and both with ``t10k``, gzipped or not; or the
            folder of torchvision's MNIST. Null for the bundled files, with the first 5000 training images.
        download: download MNIST into data_dir if it is missing.
        steps_per_epoch: training steps per Lightning epoch.
        seed: seed of the batch order and of the corrupted labels; null for the run's seed.
        corrupt_fraction: fraction of the training images that get a wrong label.

    Raises:
        UserError: train_size or batch_size is not positive, there are fewer images than train_size, or a file is
            missing or corrupt.
    """

    def __init__(
        self,
        train_size: int = 1000,
        train_seed: int | None = None,
        targets: Literal["one_hot", "class"] = "one_hot",
        batch_size: int | None = 200,
        data_dir: Path | None = None,
        download: bool = False,
        steps_per_epoch: int = 1000,
        seed: int | None = None,
        corrupt_fraction: float = 0.0,
    ) -> None:
        super().__init__(batch_size, steps_per_epoch, seed, corrupt_fraction)
        require_positive(train_size=train_size)
        if download and data_dir is None:
            raise UserError("download is set but data_dir is not: set data_dir to the folder for the files")
        self.train_size = train_size
        self.train_seed = train_seed
        self.target_kind = targets
        self.data_dir = data_dir
        self.download = download

    def prepare_data(self) -> None:
        """Download MNIST, if requested, on one process only."""
        if self.data_dir is not None and self.download:
            self._torchvision(train=True)
            self._torchvision(train=False)

    def load(self) -> None:
        """Read the images, scale them to [0, 1] and put the training images first."""
        train, test = self._bundled() if self.data_dir is None else self._full()
        chosen = self._choose(len(train[0]))
        images = torch.cat([train[0][chosen], test[0]])
        labels = torch.cat([train[1][chosen], test[1]]).long()
        self.inputs = images.flatten(1).float() / 255
        self.num_train = self.train_size
        classes = max(CLASSES, int(labels.max()) + 1)
        self.sizes = Sizes(inputs=self.inputs.shape[1], outputs=classes)
        self.class_targets = torch.eye(classes) if self.target_kind == "one_hot" else None
        self.targets = labels if self.class_targets is None else self.class_targets[labels]

    def _choose(self, available: int) -> Tensor:
        if self.train_size > available:
            hint = "" if self.data_dir else " bundled with grokking_pl; set data_dir to use the full MNIST"
            raise UserError(f"train_size is {self.train_size}, but there are only {available} training images{hint}")
        if self.train_seed is None:
            return torch.arange(self.train_size)
        return torch.randperm(available, generator=torch.Generator().manual_seed(self.train_seed))[: self.train_size]

    def _bundled(self) -> tuple[Images, Images]:
        train, test = ((read_idx(BUNDLED / i), read_idx(BUNDLED / j)) for i, j in (BUNDLED_TRAIN, BUNDLED_TEST))
        return train, test

    def _full(self) -> tuple[Images, Images]:
        assert self.data_dir is not None
        if not any(_idx_file(self.data_dir, name) for name in PUBLISHED):
            return self._torchvision(train=True), self._torchvision(train=False)
        train_images, train_labels, test_images, test_labels = (_read_published(self.data_dir, n) for n in PUBLISHED)
        train, test = (train_images, train_labels), (test_images, test_labels)
        for images, labels in (train, test):
            if images.ndim != 3 or labels.shape != images.shape[:1] or images.shape[1:] != train_images.shape[1:]:
                raise UserError(
                    f"the files in {self.data_dir} do not match: images {_sides(train_images)} for training and "
                    f"{_sides(test_images)} for validation, labels {_sides(train_labels)} and {_sides(test_labels)}"
                )
        return train, test

    def _torchvision(self, train: bool) -> Images:
        from torchvision.datasets import MNIST  # takes seconds to import; few runs need it

        assert self.data_dir is not None
        try:
            data = MNIST(str(self.data_dir), train=train, download=self.download)
        except Exception as error:  # torchvision raises many types for missing or damaged files
            hint = "is the network available?" if self.download else "set download to true"
            reason = str(error) or "a file is empty or damaged"
            raise UserError(f"no full MNIST in {self.data_dir} ({reason}): {hint}") from None
        images, labels = data.data, data.targets
        if images.shape[1:] != (SIDE, SIDE) or labels.shape != images.shape[:1]:
            raise UserError(
                f"no full MNIST in {self.data_dir} (images {tuple(images.shape)}, labels {tuple(labels.shape)}): "
                "delete the files and set download to true"
            )
        return images, labels


def _idx_file(folder: Path, name: str) -> Path | None:
    """The file of this name, plain or gzipped; some copies have a dot instead of the second-to-last hyphen."""
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = (folder / f"{spelling}{ending}" for spelling in spellings for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _read_published(folder: Path, name: str) -> UInt8[Tensor, "..."]:
    path = _idx_file(folder, name)
    if path is None:
        raise UserError(f"{folder} has no {name}, plain or gzipped; it needs all of {', '.join(PUBLISHED)}")
    return read_idx(path)


def _sides(array: Tensor) -> str:
    return "x".join(map(str, array.shape))
