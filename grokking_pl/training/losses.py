"""Losses: what a network's outputs cost, of every sample; one object for training, evaluation and populations.

A loss of one's own derives from `Loss` and has `__call__`; a configuration names it by its ``class_path``. It is a pure
function, and decides nothing by the values of tensors, so that many networks can be trained as one.
"""

from abc import ABC, abstractmethod
from difflib import get_close_matches
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F

from grokking_pl.errors import UserError

LossName = Literal["mse", "cross_entropy"]
"""The losses that have short names of their own."""


class Loss(ABC):
    """What outputs cost: a number per sample, as a function of outputs and targets.

    Where an answer has several tokens, a loss is asked for each, and the loss of the sample is their mean.

    Attributes:
        needs: the kind of targets that it takes; None for what the data have.
    """

    needs: ClassVar[Literal["vectors", "class numbers"] | None] = None

    @abstractmethod
    def __call__(
        self, outputs: Float[Tensor, "samples outputs"], targets: Shaped[Tensor, "samples ..."]
    ) -> Float[Tensor, " samples"]:
        """The loss of each sample; targets are vectors (samples x outputs), or class numbers (samples)."""

    def mean(
        self, outputs: Float[Tensor, "samples outputs"], targets: Shaped[Tensor, "samples ..."]
    ) -> Float[Tensor, ""]:
        """The mean over the samples, which is what is trained; a loss that has one kernel for it overrides this."""
        return self.of_samples(outputs, targets).mean()

    def of_samples(
        self, outputs: Float[Tensor, "samples outputs"], targets: Shaped[Tensor, "samples ..."]
    ) -> Float[Tensor, " samples"]:
        """As a call, checked.

        Raises:
            UserError: the call does not give one number per sample.
        """
        losses = self(outputs, targets)
        if losses.shape != targets.shape[:1]:
            raise UserError(
                f"the loss {type(self).__name__} gives a tensor of shape {list(losses.shape)} for {len(targets)} "
                "samples: it must give one number per sample"
            )
        return losses


class MeanSquaredError(Loss):
    """The mean squared error, over samples and output dimensions."""

    needs = "vectors"

    def __call__(
        self, outputs: Float[Tensor, "samples outputs"], targets: Float[Tensor, "samples outputs"]
    ) -> Float[Tensor, " samples"]:
        """The mean squared error of each sample, over output dimensions."""
        return (outputs.to(targets.dtype) - targets).square().mean(-1)

    def mean(
        self, outputs: Float[Tensor, "samples outputs"], targets: Float[Tensor, "samples outputs"]
    ) -> Float[Tensor, ""]:
        """The mean squared error, by one kernel."""
        return F.mse_loss(outputs, targets)


class CrossEntropy(Loss):
    """The cross entropy of the softmax of the outputs.

    Args:
        label_smoothing: share of the target that is spread evenly over all classes.
        precision: bits in which the softmax and its logarithm are computed, whatever the trainer's precision; null for
            those of the outputs.

    Raises:
        UserError: an option is out of its range.
    """

    needs = "class numbers"

    def __init__(self, label_smoothing: float = 0.0, precision: Literal[16, 32, 64] | None = None) -> None:
        if not 0 <= label_smoothing <= 1:
            raise UserError(f"label_smoothing is {label_smoothing}; it must be at least 0 and at most 1")
        self.label_smoothing = label_smoothing
        self.precision = precision

    def __call__(
        self, outputs: Float[Tensor, "samples classes"], targets: Int[Tensor, " samples"]
    ) -> Float[Tensor, " samples"]:
        """The cross entropy of each sample; at least as precise a number as the outputs are."""
        if self.precision is None:
            return F.cross_entropy(outputs, targets, reduction="none", label_smoothing=self.label_smoothing)
        # Autocasting would compute all but 64 bits in 32.
        with torch.autocast(outputs.device.type, enabled=False):
            cast = outputs.to(PRECISIONS[self.precision])
            losses = F.cross_entropy(cast, targets, reduction="none", label_smoothing=self.label_smoothing)
        return losses.to(torch.promote_types(losses.dtype, outputs.dtype))

    def mean(self, outputs: Float[Tensor, "samples classes"], targets: Int[Tensor, " samples"]) -> Float[Tensor, ""]:
        """The mean cross entropy, by one kernel where the precision is that of the outputs."""
        if self.precision is None:
            return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)
        return super().mean(outputs, targets)  # sixteen bits could not hold the sum


PRECISIONS = {16: torch.float16, 32: torch.float32, 64: torch.float64}


class StableMax(Loss):
    """The cross entropy with ``s(x) / sum s`` in place of the softmax, in 64 bits (Prieto et al. 2025).

    s(x) = x + 1 for x >= 0 and 1 / (1 - x) below: no exponential, so that large outputs absorb no small ones, and the
    gradient does not vanish once the training set is fitted.
    """

    needs = "class numbers"

    def __call__(
        self, outputs: Float[Tensor, "samples classes"], targets: Int[Tensor, " samples"]
    ) -> Float[Tensor, " samples"]:
        """The loss of each sample."""
        x = outputs.double()
        # The gradient of the branch that is not taken must be a number, too.
        s = torch.where(x >= 0, x + 1, 1 / (1 - x.clamp(max=0)))
        probabilities = s / s.sum(-1, keepdim=True)
        return -probabilities.log().gather(-1, targets[:, None]).squeeze(-1)


NAMED: dict[str, type[Loss]] = {"mse": MeanSquaredError, "cross_entropy": CrossEntropy}


def loss_of(given: Loss | str) -> Loss:
    """The loss that is given by its name or as an object.

    Raises:
        UserError: no loss is called so, or it is no loss.

    >>> type(loss_of("mse")).__name__
    'MeanSquaredError'
    """
    if isinstance(given, Loss):
        return given
    if isinstance(given, str) and given in NAMED:
        return NAMED[given]()
    near = get_close_matches(str(given), NAMED, n=1)
    hint = f"did you mean {near[0]}?" if near else f"give {' or '.join(NAMED)}, or an object of a class of Loss"
    raise UserError(f"the loss is {given!r}, which is none: {hint}")


def check_targets(loss: Loss, class_targets: Float[Tensor, "classes outputs"] | None) -> None:
    """See that a loss fits the targets: vectors where there is one of each class, and class numbers elsewhere.

    Raises:
        UserError: it does not.
    """
    kind = "class numbers" if class_targets is None else "vectors"
    if loss.needs not in (None, kind):
        raise UserError(
            f"the loss {type(loss).__name__} needs {loss.needs}, but the data's targets are {kind}: change the one or "
            "the other"
        )
