"""The effective loss of images: how close the representations of each class are (appendix I of the paper).

Notation: f(x), the representation of a sample x, which is the vector of an image before the decoder; P0, all unordered
pairs of distinct samples of the same class. As in equation (5), with same-label pairs instead of parallelograms,

    l_eff = (1 / |P0|) sum over P0 of |f(x) - f(y)|^2 / Z,   Z = mean over x of |f(x) - mean f|^2,

so that position and scale of the representation do not matter. For a class of m samples with sum s, the squared
distances sum to m sum |f|^2 - |s|^2, so no pairs are enumerated.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric

from grokking_pl.errors import UserError
from grokking_pl.metrics.precision import double_precision, result_dtype


def class_effective_loss(
    representations: Float[Tensor, "samples k"], classes: Int[Tensor, " samples"]
) -> Float[Tensor, ""]:
    """The effective loss over same-label pairs, with normalised representations.

    Cost: 2 ms on one core for 1000 representations of 200 dimensions.

    Args:
        representations: f(x) of every sample.
        classes: the class of every sample.

    Returns:
        0 if each class is a single point; about 2 if the classes are not separated; 0 if all samples coincide; nan if
        no two samples have the same class.

    Raises:
        UserError: a representation is nan or infinite.

    >>> class_effective_loss(torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.tensor([0, 0, 1, 1]))
    tensor(0.)
    """
    count = int(classes.max()) + 1
    f = _checked(representations)
    return _effective_loss(*_sums_of_classes(f - f.mean(0), classes, count)).to(result_dtype(representations))


def class_means(
    representations: Float[Tensor, "samples k"], classes: Int[Tensor, " samples"], count: int
) -> Float[Tensor, "classes k"]:
    """The mean representation of each class, normalised as in the loss; zeros for a class without samples.

    The cost is that of the loss.

    Args:
        representations: f(x) of every sample.
        classes: the class of every sample.
        count: number of classes.

    >>> class_means(torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([0, 0, 1]), 2)
    tensor([[-0.6124],
            [ 1.2247]])
    """
    f = double_precision(representations)
    f = f - f.mean(0)
    scale = f.square().sum(1).mean().sqrt()
    f = f / scale if scale > 0 else f
    sums = f.new_zeros(count, f.shape[1]).index_add_(0, classes, f)
    sizes = torch.bincount(classes, minlength=count)
    return (sums / sizes.clamp(min=1)[:, None]).to(result_dtype(representations))


class ClassEffectiveLoss(Metric):
    """The `class_effective_loss` of all samples since the last reset, accumulated over batches.

    Args:
        classes: number of classes.
        dimension: dimension of the representations.

    >>> metric = ClassEffectiveLoss(classes=2, dimension=1)
    >>> metric.update(torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1]))
    >>> metric.update(torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1]))
    >>> metric.compute()
    tensor(0.)
    """

    is_differentiable = False
    full_state_update = False
    sizes: Tensor
    sums: Tensor
    squares: Tensor

    def __init__(self, classes: int, dimension: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("sizes", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("sums", torch.zeros(classes, dimension, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("squares", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, representations: Float[Tensor, "samples k"], classes: Int[Tensor, " samples"]) -> None:
        """Add the representations and classes of a batch.

        Raises:
            UserError: a representation is nan or infinite.
        """
        sizes, sums, squares = _sums_of_classes(_checked(representations), classes, len(self.sizes))
        self.sizes += sizes
        self.sums += sums
        self.squares += squares

    def compute(self) -> Float[Tensor, ""]:
        """The loss since the last reset; nan if no two samples had the same class."""
        mean = self.sums.sum(0) / self.sizes.sum()
        sums = self.sums - self.sizes[:, None] * mean
        squares = self.squares - 2 * self.sums @ mean + self.sizes * mean.square().sum()
        return _effective_loss(self.sizes, sums, squares).float()


Sums = tuple[Float[Tensor, " classes"], Float[Tensor, "classes k"], Float[Tensor, " classes"]]
"""For each class: number of samples, sum of f, and sum of |f|^2."""


def _checked(representations: Float[Tensor, "samples k"]) -> Float[Tensor, "samples k"]:
    if not representations.isfinite().all():
        raise UserError("representations are nan or infinite: training diverged; lower the learning rate")
    return double_precision(representations)


def _sums_of_classes(f: Float[Tensor, "samples k"], classes: Int[Tensor, " samples"], count: int) -> Sums:
    sizes = torch.bincount(classes, minlength=count).to(f.dtype)
    sums = f.new_zeros(count, f.shape[1]).index_add_(0, classes, f)
    squares = f.new_zeros(count).index_add_(0, classes, f.square().sum(1))
    return sizes, sums, squares


def _effective_loss(
    sizes: Float[Tensor, " classes"], sums: Float[Tensor, "classes k"], squares: Float[Tensor, " classes"]
) -> Float[Tensor, ""]:
    """The loss of samples whose mean is 0."""
    distances = (sizes * squares - sums.square().sum(1)).clamp(min=0).sum()
    pairs = (sizes * (sizes - 1) / 2).sum()
    scale = squares.sum() / sizes.sum()
    return distances / pairs / scale if scale > 0 else distances / pairs
