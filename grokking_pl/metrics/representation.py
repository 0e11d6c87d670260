"""A representation: the embeddings of all symbols, and how the model combines two of them.

Notation (section 2 of the paper): E_k, the rows of the p x d matrix of embeddings; a sample (a, b) enters the decoder
as the combined vector E_a + E_b, or for groups as the matrix product E_a E_b.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric

from grokking_pl.errors import UserError

Combine = Callable[[Tensor, Tensor], Tensor]
"""From E_a and E_b, (*batch, samples, d) each, to the combined vectors, (*batch, samples, k)."""


def add(
    left: Float[Tensor, "*batch samples d"], right: Float[Tensor, "*batch samples d"]
) -> Float[Tensor, "*batch samples d"]:
    """The sum E_a + E_b; the mean has the same parallelograms, with distances half as long."""
    return left + right


def matrix_product(
    left: Float[Tensor, "*batch samples d"], right: Float[Tensor, "*batch samples d"]
) -> Float[Tensor, "*batch samples d"]:
    """The product E_a E_b of embeddings read, row by row, as square matrices.

    Raises:
        UserError: d is not the square of a whole number.
    """
    d = left.shape[-1]
    n = math.isqrt(d)
    if n * n != d:
        raise UserError(
            f"a matrix product needs embeddings of d = n² numbers, but d is {d}; try {n * n} or {(n + 1) ** 2}"
        )
    return (left.unflatten(-1, (n, n)) @ right.unflatten(-1, (n, n))).flatten(-2)


@dataclass(frozen=True, eq=False)
class Representation:
    """The embeddings of one model, or of any batch of models or snapshots, and how two embeddings are combined.

    Args:
        embeddings: E, one row a symbol; leading dimensions are a batch of representations.
        combine: maps E_a and E_b, (*batch, samples, d), to the combined vectors, (*batch, samples, k).

    Raises:
        UserError: the embeddings are not a real floating-point tensor of at least two dimensions.
    """

    embeddings: Float[Tensor, "*batch p d"]
    combine: Combine = add

    def __post_init__(self) -> None:
        if self.embeddings.ndim < 2 or not self.embeddings.is_floating_point():
            raise UserError(
                f"embeddings of shape {tuple(self.embeddings.shape)} and {self.embeddings.dtype} were given, "
                "expected a floating-point tensor (*batch, p, d)"
            )

    @property
    def batch(self) -> torch.Size:
        """The leading dimensions."""
        return self.embeddings.shape[:-2]

    @property
    def p(self) -> int:
        """The number of symbols."""
        return self.embeddings.shape[-2]

    @property
    def adds(self) -> bool:
        """Whether two embeddings are combined to their sum or their mean, and not to a product."""
        if self.combine is add:
            return True
        d = self.embeddings.shape[-1]
        left, right = torch.arange(1.0, d + 1)[None], torch.full((1, d), 0.5)
        both = self.combine(left, right)
        return both.shape == left.shape and any(torch.allclose(both, (left + right) * scale) for scale in (1, 0.5))

    @property
    def result_dtype(self) -> torch.dtype:
        """The precision of a metric's values: that of the embeddings, single at least."""
        return torch.promote_types(self.embeddings.dtype, torch.float32)

    def exact(self) -> "Representation":
        """The same in double precision, without gradients and as a batch of one dimension, checked for the metrics.

        In double precision the sum of two single-precision embeddings is not rounded (unless their magnitudes are
        half a billion apart), so that a metric judges the representation and not its arithmetic.

        Raises:
            UserError: an embedding is nan or infinite.
        """
        # Apple's GPUs have no double precision.
        device = torch.device("cpu") if self.embeddings.device.type == "mps" else self.embeddings.device
        embeddings = self.embeddings.detach().to(device, torch.float64)
        # One sum is cheaper than a test of every entry; in double precision it overflows for no single-precision input.
        if not math.isfinite(embeddings.sum().item()):
            check_finite(embeddings)
        return replace(self, embeddings=embeddings.reshape(-1, *embeddings.shape[-2:]))


def check_finite(embeddings: Float[Tensor, "*batch p d"]) -> None:
    """Raise a `UserError` if an embedding is nan or infinite."""
    finite = embeddings.isfinite().flatten(-2).all(-1)
    if not finite.all():
        which = f" in {int((~finite).sum())} of {finite.numel()} representations" if finite.numel() > 1 else ""
        raise UserError(f"embeddings are nan or infinite{which}: training diverged; lower the learning rate")


@dataclass(frozen=True)
class Criterion:
    """When two combined vectors x and y of dimension k count as equal, so that their samples form a parallelogram.

    The default is the criterion of the authors' published code. Its permutation model has ``Criterion(0.5,
    "mean_square", "rms")``, and `published_criterion` chooses between the two. The paper's own definition 1,
    |x - y| <= delta, is ``Criterion(delta, "euclidean", None)``; delta = 0 asks for exact equality.

    Args:
        threshold: what the norm of the difference is compared with.
        norm: "mean_square": the mean over the k dimensions of (x - y)² is below the threshold (strictly);
            "euclidean": the length |x - y| is at most the threshold.
        normalisation: what is done to the embeddings of each representation first. "standardise": zero mean and unit
            standard deviation (the unbiased one) in each dimension; "rms": unit root mean square over all entries;
            None: nothing. Embeddings without any deviation, or all zero, are divided by 1.

    Raises:
        UserError: a threshold is nan or negative, or zero for "mean_square"; a norm or a normalisation is unknown.
    """

    threshold: float = 0.01
    norm: Literal["mean_square", "euclidean"] = "mean_square"
    normalisation: Literal["standardise", "rms"] | None = "standardise"

    def __post_init__(self) -> None:
        if self.norm not in ("mean_square", "euclidean"):
            raise UserError(f"norm is {self.norm!r}, expected 'mean_square' or 'euclidean'")
        if self.normalisation not in ("standardise", "rms", None):
            raise UserError(f"normalisation is {self.normalisation!r}, expected 'standardise', 'rms' or None")
        if not self.threshold >= 0:
            raise UserError(f"threshold is {self.threshold}, expected 0 or more")
        if self.threshold == 0 and self.norm == "mean_square":
            raise UserError("threshold is 0, below which no mean square lies; set norm to 'euclidean' for equality")

    @property
    def is_equality(self) -> bool:
        """Whether only equal vectors count as equal."""
        return self.threshold == 0

    def normalise(self, embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch p d"]:
        """The embeddings as the criterion looks at them."""
        if self.normalisation is None:
            return embeddings
        if self.normalisation == "standardise":
            centred = (
                embeddings - embeddings[..., :1, :]
            )  # equal embeddings become exactly 0, before the mean can round
            deviation, mean = torch.std_mean(centred, -2, keepdim=True)
            return (centred - mean) / deviation.masked_fill_(deviation == 0, 1)
        size = embeddings.square().mean((-2, -1), keepdim=True).sqrt()
        return embeddings / size.masked_fill_(size == 0, 1)

    def holds(self, difference: Float[Tensor, "*pairs k"]) -> Bool[Tensor, "*pairs"]:
        """Whether x and y count as equal, for differences x - y."""
        squared = difference.square().sum(-1)
        if self.norm == "mean_square":
            return squared < self.squared_radius(difference.shape[-1])
        return squared.sqrt() <= self.threshold

    def squared_radius(self, k: int) -> float:
        """The squared length of a difference of dimension k at which the criterion ceases to hold."""
        return self.threshold * k if self.norm == "mean_square" else self.threshold**2


def published_criterion(representation: Representation) -> Criterion:
    """The criterion of the authors' published code: one for models that add embeddings, one for those that do not."""
    return Criterion() if representation.adds else Criterion(0.5, "mean_square", "rms")


class RepresentationMetric(Metric, ABC):
    """A torchmetrics metric that is the mean of a number over all representations given since the last reset.

    Lightning resets a logged metric at the end of each epoch, so that with one update an epoch the mean is the latest
    value. Every process of a distributed run holds the same representation, and the mean over processes is its value.
    A subclass implements `measure`.
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
        """The metric of each representation of the batch."""

    def update(self, representation: Representation) -> None:
        """Take in a representation, or a batch of them."""
        values = self.measure(representation)
        self.total += values.sum().to(self.total.device)
        self.count += values.numel()

    def compute(self) -> Float[Tensor, ""]:
        """The mean over all representations since the last reset; nan if there were none."""
        return (self.total / self.count).float()
