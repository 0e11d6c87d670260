"""Equality of combined vectors, which defines parallelograms (definition 1, section 3.1)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.representation import Representation


@dataclass(frozen=True)
class Criterion:
    """When two combined vectors x and y of dimension k count as equal, so that their samples form a parallelogram.

    The default is the criterion of the authors' published code. Their permutation model uses ``Criterion(0.5,
    "mean_square", "rms")``; `published_criterion` chooses between the two. Definition 1 of the paper, |x - y| <= delta,
    is ``Criterion(delta, "euclidean", None)``; delta = 0 means exact equality.

    Args:
        threshold: threshold on the norm of the difference.
        norm: "mean_square": the mean over the k dimensions of (x - y)² is below the threshold (strictly); "euclidean":
            the length |x - y| is at most the threshold.
        normalisation: normalisation of each representation's embeddings beforehand. "standardise": zero mean and unit
            (unbiased) standard deviation in each dimension; "rms": unit root mean square over all entries; None: no
            normalisation. Where the deviation or root mean square is 0, the divisor is 1.

    Raises:
        UserError: the threshold is nan or negative, or zero for "mean_square"; the norm or normalisation is unknown.
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
            raise UserError("threshold is 0, but no mean square is below 0; set norm to 'euclidean' for equality")

    @property
    def is_equality(self) -> bool:
        """Whether the criterion is exact equality."""
        return self.threshold == 0

    def normalise(self, embeddings: Float[Tensor, "*batch p d"]) -> Float[Tensor, "*batch p d"]:
        """The embeddings normalised for the comparison."""
        if self.normalisation is None:
            return embeddings
        if self.normalisation == "standardise":
            centred = embeddings - embeddings[..., :1, :]  # makes equal embeddings exactly 0, before the mean can round
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
        """The squared length of a difference of dimension k up to which the criterion holds."""
        return self.threshold * k if self.norm == "mean_square" else self.threshold**2


def published_criterion(representation: Representation) -> Criterion:
    """The criterion of the authors' published code, for models that add embeddings or for those that do not."""
    return Criterion() if representation.adds else Criterion(0.5, "mean_square", "rms")
