"""Base class of the torchmetrics classes: the mean of a number over representations."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from grokking_pl.metrics.representation import Representation


class RepresentationMetric(Metric, ABC):
    """The mean of a number over all representations since the last reset.

    Lightning resets a logged metric at the end of each epoch, so with one update per epoch the mean is the latest
    value. All processes of a distributed run hold the same representation, so the mean over processes is its value.
    Subclasses implement `measure`.
    """

    is_differentiable = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    @abstractmethod
    def measure(self, representation: Representation) -> Float[Tensor, "*batch"]:
        """The metric of each representation in the batch."""

    def update(self, representation: Representation) -> None:
        """Add a representation, or a batch of them."""
        values = self.measure(representation)
        self.total += values.sum().to(self.total.device)
        self.count += values.numel()

    def compute(self) -> Float[Tensor, ""]:
        """The mean over all representations since the last reset; nan if there were none."""
        return (self.total / self.count).float()
