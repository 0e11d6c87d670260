"""MNIST: the images as published, targets of both kinds, and other draws of the training set."""

import gzip
import struct

import numpy as np
import pytest
import torch

from grokking_pl.data import MNISTDataModule
from grokking_pl.data.mnist import BUNDLED, BUNDLED_TEST, BUNDLED_TRAIN
from grokking_pl.errors import UserError


def read(name: str, header: str) -> np.ndarray:
    """Read an IDX file with nothing but the standard library and NumPy."""
    content = gzip.decompress((BUNDLED / name).read_bytes())
    magic, *shape = struct.unpack_from(header, content)
    assert magic == 0x0800 + len(shape)
    return np.frombuffer(content, np.uint8, offset=struct.calcsize(header)).reshape(shape)


@pytest.fixture(scope="module")
def published():
    return {
        split: (read(images, ">4i"), read(labels, ">2i"))
        for split, (images, labels) in {"train": BUNDLED_TRAIN, "test": BUNDLED_TEST}.items()
    }


def ready(**options) -> MNISTDataModule:
    data = MNISTDataModule(**options)
    data.prepare_data()
    data.setup("fit")
    return data


def test_first_images_as_published(published):
    data = ready(train_size=1000, targets="class")
    for (inputs, targets), (images, labels), count in (
        (data.train_set, published["train"], 1000),
        (data.val_set, published["test"], 10_000),
    ):
        assert torch.equal(inputs, torch.from_numpy(images[:count].reshape(count, 784) / np.float32(255)))
        assert targets.tolist() == labels[:count].tolist()
    # The first labels of the two published files.
    assert data.train_set[1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.val_set[1][:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.class_targets is None


def test_one_hot_targets(published):
    data = ready(train_size=100, targets="one_hot")
    assert torch.equal(data.class_targets, torch.eye(10))
    assert torch.equal(data.train_set[1], torch.eye(10)[published["train"][1][:100].astype(int)])


def rows(inputs: torch.Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in inputs]


def test_train_seed_draws_other_images_without_repetition():
    every = ready(train_size=5000)
    number = {image: k for k, image in enumerate(rows(every.train_set[0]))}
    assert len(number) == 5000
    drawn = {seed: ready(train_size=300, train_seed=seed) for seed in (1, 2)}
    chosen = {seed: [number[image] for image in rows(data.train_set[0])] for seed, data in drawn.items()}
    for seed, numbers in chosen.items():
        assert len(set(numbers)) == 300
        assert max(numbers) > 300
        assert torch.equal(drawn[seed].train_set[1], every.train_set[1][numbers])
        assert torch.equal(drawn[seed].val_set[0], every.val_set[0])
    assert set(chosen[1]) != set(chosen[2])
    assert [number[image] for image in rows(ready(train_size=300, train_seed=1).train_set[0])] == chosen[1]


def test_full_mnist_of_torchvision(published, tmp_path):
    """The files of torchvision, made from the bundled ones, give the same samples."""
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        for array, kind in zip(published[split], ("images-idx3", "labels-idx1"), strict=True):
            header = struct.pack(f">{array.ndim + 1}i", 0x0800 + array.ndim, *array.shape)
            (raw / f"{prefix}-{kind}-ubyte").write_bytes(header + array.tobytes())
    ours, theirs = ready(train_size=50), ready(train_size=50, data_dir=tmp_path)
    assert torch.equal(ours.inputs, theirs.inputs)
    assert torch.equal(ours.targets, theirs.targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_size": 0}, "train_size is 0"),
        ({"train_size": 5001}, "only 5000 training images bundled"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch is 0"),
        ({"download": True}, "data_dir is not"),
    ],
)
def test_errors(options, message):
    with pytest.raises(UserError, match=message):
        ready(**options)


def write_images(folder, images, labels, prefix, packed):
    for array, kind in ((images, "images-idx3"), (labels, "labels-idx1")):
        content = struct.pack(f">{array.ndim + 1}i", 0x0800 + array.ndim, *array.shape) + array.tobytes()
        name = f"{prefix}-{kind}-ubyte" + ".gz" * packed
        (folder / name).write_bytes(gzip.compress(content) if packed else content)


@pytest.fixture
def fashion(tmp_path):
    """A folder of images 5 x 3 of twelve classes, the training files plain and the others gzipped."""
    rng = np.random.default_rng(0)
    sets = {}
    for prefix, count, packed in (("train", 30, False), ("t10k", 12, True)):
        images = rng.integers(0, 256, (count, 5, 3)).astype(np.uint8)
        labels = rng.permutation(count).astype(np.uint8) % 12
        write_images(tmp_path, images, labels, prefix, packed)
        sets[prefix] = images, labels
    return tmp_path, sets


def test_images_from_a_folder(fashion):
    folder, sets = fashion
    data = ready(train_size=20, data_dir=folder, targets="class")
    assert (data.sizes.inputs, data.sizes.outputs, data.num_train) == (15, 12, 20)
    for (inputs, targets), (images, labels) in zip((data.train_set, data.val_set), sets.values(), strict=True):
        assert torch.equal(inputs, torch.from_numpy(images[: len(inputs)].reshape(-1, 15) / np.float32(255)))
        assert targets.tolist() == labels[: len(inputs)].tolist()


def test_images_from_a_folder_are_trained_on(fashion, grok, small_mnist, tmp_path):
    words = [*small_mnist, "--data.train_size=25", "--data.data_dir", fashion[0], "--run_dir", tmp_path / "run"]
    status, _, err = grok("fit", *words)
    assert status == 0, err


def test_folders_that_do_not_do(fashion):
    folder, sets = fashion
    with pytest.raises(UserError, match="only 30 training images"):
        ready(train_size=31, data_dir=folder)
    write_images(folder, sets["t10k"][0][:, :4], sets["t10k"][1], "t10k", True)
    with pytest.raises(UserError, match="do not match: images 30x5x3 for training and 12x4x3"):
        ready(train_size=20, data_dir=folder)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match="has no t10k-labels-idx1-ubyte, plain or gzipped"):
        ready(train_size=20, data_dir=folder)
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\3")
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte is corrupt \(it ends within its header"):
        ready(train_size=20, data_dir=folder)
