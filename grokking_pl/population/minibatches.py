"""Mini-batches for the next steps of every member."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.population.member import Member

DRAWN_AHEAD = 2**22
"""Indices drawn at a time, for several steps, to keep transfers to the device rare."""


class MiniBatch(NamedTuple):
    """The samples of one step, for every place.

    Attributes:
        chosen: sample indices, padded with sample 0 for members with fewer samples.
        weights: weights of the samples in the loss; 0 for padding.
    """

    chosen: Int[Tensor, "places batch"]
    weights: Float[Tensor, "places batch"]


class MiniBatches:
    """Draws mini-batches for all places, each from its member's stream.

    Args:
        places: number of places.
        size: samples in the largest mini-batch.
        device: device of the result.
        accumulated: mini-batches per step whose gradients are averaged.
        dtype: dtype of the weights.
    """

    def __init__(
        self,
        places: int,
        size: int,
        device: torch.device,
        accumulated: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._accumulated = accumulated
        self._dtype = dtype
        self._places = places
        self._size = size
        self._device = device
        self._streams: dict[int, Iterator[Tensor | slice]] = {}

    def put(self, place: int, member: Member, step: int) -> None:
        """Put a new member that has made ``step`` updates in a place."""
        self._streams[place] = member.indices(step * self._accumulated)

    def vacate(self, place: int) -> None:
        """Remove the member of a place."""
        del self._streams[place]

    def draw(self, steps: int) -> Iterator[MiniBatch]:
        """The mini-batches of the next ``steps`` steps."""
        most = max(1, DRAWN_AHEAD // (self._places * self._size))
        for start in range(0, steps, most):
            chosen, weights = self._draw_ahead(min(most, steps - start))
            yield from map(MiniBatch, chosen.unbind(), weights.unbind())

    def _draw_ahead(self, steps: int) -> tuple[Int[Tensor, "steps places batch"], Float[Tensor, "steps places batch"]]:
        chosen = torch.zeros(steps, self._places, self._size, dtype=torch.int64)
        weights = torch.zeros(steps, self._places, self._size, dtype=self._dtype)
        for place, stream in self._streams.items():
            batch = next(stream)
            if isinstance(batch, slice):  # the full training set, at every step
                chosen[:, place, batch] = torch.arange(batch.stop)
                weights[:, place, batch] = 1 / batch.stop
                continue
            batches = chain([batch], islice(stream, steps * self._accumulated - 1))
            for step in range(steps):
                start = 0
                for indices in islice(batches, self._accumulated):
                    assert isinstance(indices, Tensor)
                    end = start + len(indices)
                    chosen[step, place, start:end] = indices
                    weights[step, place, start:end] = 1 / (len(indices) * self._accumulated)
                    start = end
        return chosen.to(self._device), weights.to(self._device)
