"""Losses per sample, shared by training, evaluation and batches of runs.

A custom loss derives from `Loss` and implements `__call__`; a configuration names it by ``class_path``. It must be a
pure function without branches on tensor values, so that many networks can be trained as one.
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
"""Losses with short names."""


class Loss(ABC):
    """A loss per sample, as a function of outputs and targets.

    For answers of several tokens, the loss is evaluated per token, and the loss of the sample is the mean.

    Attributes:
        needs: required kind of targets; None for any.
    """

    needs: ClassVar[Literal["vectors", "class numbers"] | None] = None

    @abstractmethod
    def __call__(
        self, outputs: Float[Tensor, "samples outputs"], targets: Shaped[Tensor, "samples ..."]
    ) -> Float[Tensor, " samples"]:
        """The loss of each sample; targets are vectors (samples x outputs) or class numbers (samples)."""

    def mean(
        self, outputs: Float[Tensor, "samples outputs"], targets: Shaped[Tensor, "samples ..."]
    ) -> Float[Tensor, ""]:
        """The mean over samples, as used in training; override it if a fused kernel exists."""
        return self.of_samples(outputs, targets).mean()

    def of_samples(
        self, outputs: Float[Tensor, "samples outputs"], targets: Shaped[Tensor, "samples ..."]
    ) -> Float[Tensor, " samples"]:
        """The checked loss of each sample.

        Raises:
            UserError: the loss does not return one number per sample.
        """
        losses = self(outputs, targets)
        if losses.shape != targets.shape[:1]:
            raise UserError(
                f"the loss {type(self).__name__} returns shape {list(losses.shape)} for {len(targets)} "
                "samples: it must return one number per sample"
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
        """The mean squared error, by a fused kernel."""
        return F.mse_loss(outputs, targets)


class CrossEntropy(Loss):
    """The cross entropy of the softmax of the outputs.

    Args:
        label_smoothing: fraction of the target spread evenly over all classes.
        precision: bits of the softmax and its logarithm, regardless of the trainer's precision; null for those of the
            outputs.

    Raises:
        UserError: an option is out of range.
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
        """The cross entropy of each sample, in at least the precision of the outputs."""
        if self.precision is None:
            return F.cross_entropy(outputs, targets, reduction="none", label_smoothing=self.label_smoothing)
        # Autocast would compute everything but 64 bits in 32.
        with torch.autocast(outputs.device.type, enabled=False):
            cast = outputs.to(PRECISIONS[self.precision])
            losses = F.cross_entropy(cast, targets, reduction="none", label_smoothing=self.label_smoothing)
        return losses.to(torch.promote_types(losses.dtype, outputs.dtype))

    def mean(self, outputs: Float[Tensor, "samples classes"], targets: Int[Tensor, " samples"]) -> Float[Tensor, ""]:
        """The mean cross entropy, by a fused kernel if the precision is that of the outputs."""
        if self.precision is None:
            return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)
        return super().mean(outputs, targets)  # the sum does not fit in 16 bits


PRECISIONS = {16: torch.float16, 32: torch.float32, 64: torch.float64}


class StableMax(Loss):
    """The cross entropy with ``s(x) / sum s`` instead of the softmax, in 64 bits (Prieto et al. 2025).

    s(x) = x + 1 for x >= 0 and 1 / (1 - x) below: without an exponential, large outputs do not absorb small ones, and
    the gradient does not vanish once the training set is fitted.
    """

    needs = "class numbers"

    def __call__(
        self, outputs: Float[Tensor, "samples classes"], targets: Int[Tensor, " samples"]
    ) -> Float[Tensor, " samples"]:
        """The loss of each sample."""
        x = outputs.double()
        # The gradient of the unused branch must be finite too.
        s = torch.where(x >= 0, x + 1, 1 / (1 - x.clamp(max=0)))
        probabilities = s / s.sum(-1, keepdim=True)
        return -probabilities.log().gather(-1, targets[:, None]).squeeze(-1)


NAMED: dict[str, type[Loss]] = {"mse": MeanSquaredError, "cross_entropy": CrossEntropy}


def loss_of(given: Loss | str) -> Loss:
    """The loss given by name or as an object.

    Raises:
        UserError: the name is unknown, or the object is not a loss.

    >>> type(loss_of("mse")).__name__
    'MeanSquaredError'
    """
    if isinstance(given, Loss):
        return given
    if isinstance(given, str) and given in NAMED:
        return NAMED[given]()
    near = get_close_matches(str(given), NAMED, n=1)
    hint = f"did you mean {near[0]}?" if near else f"give {' or '.join(NAMED)}, or an instance of a Loss class"
    raise UserError(f"the loss is {given!r}, which is unknown: {hint}")


def check_targets(loss: Loss, class_targets: Float[Tensor, "classes outputs"] | None) -> None:
    """Check that a loss fits the targets: vectors if classes have target vectors, else class numbers.

    Raises:
        UserError: the loss does not fit.
    """
    kind = "class numbers" if class_targets is None else "vectors"
    if loss.needs not in (None, kind):
        raise UserError(
            f"the loss {type(loss).__name__} needs {loss.needs}, but the data's targets are {kind}: change one or "
            "the other"
        )
