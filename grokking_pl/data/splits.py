"""Split recipes: which samples of a table are training samples, as a fixed order of draws from seeded generators.

A recipe repeats another program's draws, so that the same seed gives that program's data, sample by sample. It also
draws the target vectors, because some programs draw both from one generator.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

SplitRecipe = Literal[
    "torch_randperm", "numpy_choice", "python_shuffle", "published", "published_long", "published_pairs"
]


@dataclass(frozen=True)
class Request:
    """Parameters of a draw.

    Args:
        seed: seed of every generator.
        samples: number of samples in the table.
        count: number of training samples.
        symbols: number p of symbols.
        results: number of result classes.
        dimension: dimension of the target vectors.
    """

    seed: int
    samples: int
    count: int
    symbols: int
    results: int
    dimension: int


@dataclass(frozen=True)
class Draws:
    """Result of a draw.

    Args:
        train: indices of the training samples, in the order drawn.
        vectors: a standard normal vector for each result class.
        batches: state of NumPy's legacy generator from which each batch is to be drawn; None for the usual shuffling.
    """

    train: Int[Tensor, " train"]
    vectors: Float[Tensor, "classes dimension"]
    batches: Any = None


def torch_randperm(request: Request) -> Draws:
    """Torch's generator: target vectors, then ``randperm``, whose first entries are the training samples."""
    generator = torch.Generator().manual_seed(request.seed)
    vectors = torch.randn(request.results, request.dimension, generator=generator)
    return Draws(torch.randperm(request.samples, generator=generator)[: request.count], vectors)


def numpy_choice(request: Request) -> Draws:
    """NumPy's legacy generator: ``choice(samples, count, replace=False)``, the start of its ``permutation``."""
    legacy = np.random.RandomState(request.seed)
    return Draws(_choice(legacy, request), target_vectors(request))


def python_shuffle(request: Request) -> Draws:
    """Python's generator: ``shuffle`` of all samples, the training samples first (Nanda et al. 2023)."""
    order = list(range(request.samples))
    random.Random(request.seed).shuffle(order)
    return Draws(torch.tensor(order[: request.count]), target_vectors(request))


def published(request: Request) -> Draws:
    """The authors' toy (figures 3 to 6): target vectors, split and batches from NumPy's legacy generator.

    Target vectors are drawn for classification too.
    """
    return _published(np.random.RandomState(request.seed), request)


def published_long(request: Request) -> Draws:
    """The authors' 10^5-step toy: as `published`, after an unused vector for each symbol."""
    legacy = np.random.RandomState(request.seed)
    legacy.normal(0, 1, size=(request.symbols, request.dimension))
    return _published(legacy, request)


def published_pairs(request: Request) -> Draws:
    """The authors' transformer and figure 2: `numpy_choice` plus samples 0 and 1, in ascending order."""
    train = set(_choice(np.random.RandomState(request.seed), request).tolist())
    return Draws(torch.tensor(sorted(train | {0, 1})), target_vectors(request))


RECIPES: dict[str, Callable[[Request], Draws]] = {
    recipe.__name__: recipe
    for recipe in (torch_randperm, numpy_choice, python_shuffle, published, published_long, published_pairs)
}
assert tuple(RECIPES) == get_args(SplitRecipe)


def training_count(recipe: str, fraction: float, samples: int) -> int:
    """The number of samples in a fraction, rounded down if the recipe's program does so.

    >>> training_count("torch_randperm", 0.8, 59**2), training_count("published_pairs", 0.8, 59**2)
    (2785, 2784)
    """
    exact = fraction * samples
    return int(exact) if recipe in ("numpy_choice", "python_shuffle", "published_pairs") else round(exact)


def target_vectors(request: Request) -> Float[Tensor, "classes dimension"]:
    """Target vectors from Torch's generator, as in `torch_randperm`, for listed splits."""
    generator = torch.Generator().manual_seed(request.seed)
    return torch.randn(request.results, request.dimension, generator=generator)


def _published(legacy: np.random.RandomState, request: Request) -> Draws:
    vectors = torch.from_numpy(legacy.normal(0, 1, size=(request.results, request.dimension))).float()
    train = _choice(legacy, request)
    return Draws(train, vectors, legacy.get_state())


def _choice(legacy: np.random.RandomState, request: Request) -> Int[Tensor, " train"]:
    return torch.from_numpy(legacy.choice(request.samples, request.count, replace=False))
