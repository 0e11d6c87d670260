"""Which samples of a table are for training: recipes by name, each a fixed order of draws from seeded generators.

A recipe repeats another program's draws, so that with the same seed it has that program's data, sample by sample. It
draws the target vectors as well, because some programs take both from one generator.
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
    """What is to be drawn.

    Args:
        seed: of every generator.
        samples: size of the table.
        count: how many samples are for training.
        symbols: number p of symbols.
        results: number of result classes.
        dimension: of the target vectors.
    """

    seed: int
    samples: int
    count: int
    symbols: int
    results: int
    dimension: int


@dataclass(frozen=True)
class Draws:
    """What was drawn.

    Args:
        train: the samples that are for training, in their order.
        vectors: a standard normal vector for each result class.
        batches: the state of NumPy's legacy generator from which each step's batch is to be drawn; None where batches
            are shuffled as everywhere else.
    """

    train: Int[Tensor, " train"]
    vectors: Float[Tensor, "classes dimension"]
    batches: Any = None


def torch_randperm(request: Request) -> Draws:
    """Torch's generator: target vectors, then ``randperm``, whose first entries are for training."""
    generator = torch.Generator().manual_seed(request.seed)
    vectors = torch.randn(request.results, request.dimension, generator=generator)
    return Draws(torch.randperm(request.samples, generator=generator)[: request.count], vectors)


def numpy_choice(request: Request) -> Draws:
    """NumPy's legacy generator: ``choice(samples, count, replace=False)``, the beginning of its ``permutation``."""
    legacy = np.random.RandomState(request.seed)
    return Draws(_choice(legacy, request), target_vectors(request))


def python_shuffle(request: Request) -> Draws:
    """Python's generator: ``shuffle`` of all samples, whose first are for training (Nanda et al. 2023)."""
    order = list(range(request.samples))
    random.Random(request.seed).shuffle(order)
    return Draws(torch.tensor(order[: request.count]), target_vectors(request))


def published(request: Request) -> Draws:
    """The authors' toy (figures 3 to 6): NumPy's legacy generator draws target vectors, split, and each batch.

    Targets are drawn for classification too.
    """
    return _published(np.random.RandomState(request.seed), request)


def published_long(request: Request) -> Draws:
    """The authors' toy of 10^5 steps: as `published`, after an unused vector for each symbol."""
    legacy = np.random.RandomState(request.seed)
    legacy.normal(0, 1, size=(request.symbols, request.dimension))
    return _published(legacy, request)


def published_pairs(request: Request) -> Draws:
    """The authors' transformer and figure 2: `numpy_choice`, to which samples 0 and 1 are added, in ascending order."""
    train = set(_choice(np.random.RandomState(request.seed), request).tolist())
    return Draws(torch.tensor(sorted(train | {0, 1})), target_vectors(request))


RECIPES: dict[str, Callable[[Request], Draws]] = {
    recipe.__name__: recipe
    for recipe in (torch_randperm, numpy_choice, python_shuffle, published, published_long, published_pairs)
}
assert tuple(RECIPES) == get_args(SplitRecipe)


def training_count(recipe: str, fraction: float, samples: int) -> int:
    """How many samples a fraction is: rounded down where the programs that a recipe repeats do so.

    >>> training_count("torch_randperm", 0.8, 59**2), training_count("published_pairs", 0.8, 59**2)
    (2785, 2784)
    """
    exact = fraction * samples
    return int(exact) if recipe in ("numpy_choice", "python_shuffle", "published_pairs") else round(exact)


def target_vectors(request: Request) -> Float[Tensor, "classes dimension"]:
    """The vectors of Torch's generator, those of `torch_randperm`, for splits from elsewhere."""
    generator = torch.Generator().manual_seed(request.seed)
    return torch.randn(request.results, request.dimension, generator=generator)


def _published(legacy: np.random.RandomState, request: Request) -> Draws:
    vectors = torch.from_numpy(legacy.normal(0, 1, size=(request.results, request.dimension))).float()
    train = _choice(legacy, request)
    return Draws(train, vectors, legacy.get_state())


def _choice(legacy: np.random.RandomState, request: Request) -> Int[Tensor, " train"]:
    return torch.from_numpy(legacy.choice(request.samples, request.count, replace=False))
