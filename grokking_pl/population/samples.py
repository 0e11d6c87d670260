"""The samples of a batch's members: one shared set, or one set per place."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.training.objective import true_class


class Samples(NamedTuple):
    """All samples of one member, or of all places with an additional leading dimension.

    Attributes:
        inputs: inputs of the network.
        targets: targets.
        labels: classes of the targets.
        weights: weights of the samples in the loss of the full training set; 0 for validation samples.
        class_targets: target vector of each class, for regression.
    """

    inputs: Shaped[Tensor, "samples ..."]
    targets: Shaped[Tensor, "samples ..."]
    labels: Int[Tensor, "samples ..."]
    weights: Float[Tensor, " samples"]
    class_targets: Float[Tensor, "classes outputs"] | None


class SampleStack:
    """The samples of all places.

    Args:
        data: data of any member.
        places: number of places.
        shared: whether all members have the same samples.
        device: device of the samples.
        dtype: dtype of the weights.

    Attributes:
        samples: samples of all places, or the shared ones.
        dims: dimension of the places in each tensor, for ``vmap``; None if the samples are shared.
        training: number of first samples among which all training samples are.
    """

    def __init__(
        self,
        data: TensorDataModule,
        places: int,
        shared: bool,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._dtype = dtype
        self._data = data
        self._shared = shared
        self._device = device
        self.training = data.num_train if shared else len(data.inputs)
        self.samples = samples_of(data, device, dtype)
        self.dims: Any = None
        if not shared:
            self.samples = _map(self.samples, lambda value: value.expand(places, *value.shape).clone())
            self.dims = _map(self.samples, lambda value: 0)

    def put(self, place: int, data: TensorDataModule) -> None:
        """Set the samples of a place's new member."""
        if self._shared:
            assert same_samples(self._data, data), "the samples differ"
            return
        for stack, value in zip(self.samples, samples_of(data, self._device, self._dtype), strict=True):
            if stack is not None and value is not None:
                stack[place] = value

    def parts(self, size: int) -> Iterator[Samples]:
        """The samples of all places in parts of at most ``size``."""
        *of_samples, class_targets = self.samples
        dim = 0 if self._shared else 1
        for inputs, targets, labels, weights in zip(*(value.split(size, dim) for value in of_samples), strict=True):
            yield Samples(inputs, targets, labels, weights, class_targets)


def samples_of(data: TensorDataModule, device: torch.device, dtype: torch.dtype = torch.float32) -> Samples:
    """The samples of one member."""
    weights = torch.zeros(len(data.inputs), dtype=dtype)
    weights[: data.num_train] = 1 / data.num_train
    labels = true_class(data.targets, data.class_targets)
    return _map(Samples(data.inputs, data.targets, labels, weights, data.class_targets), lambda value: value.to(device))


def same_samples(one: TensorDataModule, other: TensorDataModule) -> bool:
    """Whether two datamodules hold the same samples, targets and split."""
    return one is other or (
        one.num_train == other.num_train
        and torch.equal(one.inputs, other.inputs)
        and torch.equal(one.targets, other.targets)
    )


def _map(samples: Samples, change: Callable[[Tensor], Any]) -> Samples:
    inputs, targets, labels, weights, class_targets = samples
    new_class_targets = None if class_targets is None else change(class_targets)
    return Samples(change(inputs), change(targets), change(labels), change(weights), new_class_targets)
