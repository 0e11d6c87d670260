"""Batches of the toy model of figure 6a, which the benchmarks measure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from grokking_pl.experiments import set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.places import places_for

CONFIG = Path(__file__).parent.parent / "configs/toy_addition.yaml"
SEED = 58


class ToyBatches:
    """Compiled batches of as many toys as ``grok diagram`` trains at a time.

    Args:
        callbacks: callbacks of every member, by name.
        decoder_lr: learning rate of the decoder; by default that of the configuration.

    Attributes:
        places: members of a full batch.
    """

    def __init__(self, callbacks: Mapping[str, Any] | None = None, decoder_lr: float | None = None) -> None:
        self._builder = MemberBuilder()
        settings = yaml.safe_load(CONFIG.read_text()) | {"callbacks": dict(callbacks or {})}
        if decoder_lr is not None:
            set_value(settings, "model.decoder.lr", decoder_lr)
        self._settings = self._builder.complete(settings)
        self._template = self._builder.build(0, self._settings, SEED)
        self.places = places_for(self._template, "cpu")

    def full(self) -> Batch:
        """A batch after its first steps, with more steps left than are ever made."""
        batch = self._empty(10**6, stop_when_decided=False)
        self._fill(batch, self.places)
        batch.advance(20)
        return batch

    def empty(self, budget: int) -> Batch:
        """A batch without members, for runs of this many steps."""
        return self._empty(budget, stop_when_decided=True)

    def train(self, batch: Batch, members: int) -> None:
        """Train members from their initial weights to the end of the batch's budget, in turn."""
        left, done = members, 0
        while done < members:
            left -= self._fill(batch, left)
            batch.advance(batch.budget + 1)
            done += len(batch.take_decided())

    def _empty(self, budget: int, stop_when_decided: bool) -> Batch:
        return Batch(
            self._template,
            self.places,
            PhaseCriteria(),
            budget,
            compiled=True,
            shared_samples=True,
            stop_when_decided=stop_when_decided,
        )

    def _fill(self, batch: Batch, most: int) -> int:
        count = min(batch.free, most)
        for index in range(count):
            batch.put(self._builder.build(index, self._settings, SEED))
        return count
