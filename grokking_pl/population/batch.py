"""Many networks of one architecture trained as one batch, each as `grok fit` would train it.

A batch has a fixed number of places. When a member's phase is decided, its place goes to the next waiting member, so
that the batch stays full and its step is compiled once. Each place counts its own steps.

`Batch.advance` takes steps up to the next observation of the embeddings. `grokking_pl.population.step` performs each
step, with losses and predictions from `grokking_pl.training.objective`; a rule of `grokking_pl.population.rules`
updates the parameters, and `grokking_pl.population.tracking` records the crossed thresholds.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import vmap

from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.compilation import CompiledStep
from grokking_pl.population.evaluation import evaluate
from grokking_pl.population.failure import refusing
from grokking_pl.population.fast_tanh import use_fast_tanh
from grokking_pl.population.member import Member, trains_at_random
from grokking_pl.population.minibatches import MiniBatch, MiniBatches
from grokking_pl.population.network import MemberNetwork
from grokking_pl.population.observation import Look, ObservationOptions, Observed, Observer, is_observable
from grokking_pl.population.outcome import Outcome
from grokking_pl.population.samples import SampleStack
from grokking_pl.population.state import State
from grokking_pl.population.step import evaluate_and_update, update


class Batch:
    """Members trained together.

    Args:
        template: any member; all are of the same kind.
        places: number of members trained at a time.
        criteria: criteria for a member's phase.
        budget: steps within which the thresholds must be reached.
        device: device to train on.
        compiled: compile the step; if that fails, say so and run it uncompiled.
        shared_samples: whether all members have the same samples, targets and split.
        observe: when to observe the embeddings; None for never.
        keep_curves: whether outcomes include curves.
        stop_when_decided: whether a member ends as soon as its phase is decided, or trains for the whole budget.

    Attributes:
        members: member at each place; None if empty.
        state: everything that training changes.
        interval: members enter and leave only at multiples of this number of steps.
    """

    def __init__(
        self,
        template: Member,
        places: int,
        criteria: PhaseCriteria,
        budget: int,
        device: torch.device | str = "cpu",
        compiled: bool = True,
        shared_samples: bool = False,
        observe: ObservationOptions | None = None,
        keep_curves: bool = False,
        stop_when_decided: bool = True,
    ) -> None:
        device = torch.device(device)
        self.criteria = criteria
        self.budget = budget
        self.members: list[Member | None] = [None] * places
        self.state = State(template, places, criteria, budget, keep_curves, device, stop_when_decided)
        self._samples = SampleStack(template.data, places, shared_samples, device, template.trainer.dtype)
        self._network = MemberNetwork(template.module, template.data.inputs, device)
        network, loss = type(template.module.network).__name__, type(template.module.loss).__name__
        self._what = f"{network} with the loss {loss}"

        self._fused = template.takes_all and criteria.every_n_steps == 1 and not trains_at_random(template)
        # Training sets in a batch may differ in size, unless all have the same samples.
        largest = template.batch_size if shared_samples or not template.takes_all else len(template.data.inputs)
        accumulated = 1 if template.takes_all else template.trainer.accumulate_grad_batches
        self._minibatches = MiniBatches(places, largest * accumulated, device, accumulated, template.trainer.dtype)
        self._step: Callable[..., None] = evaluate_and_update if self._fused else update
        if compiled:
            self._step = CompiledStep(self._step)
            if device.type == "cpu" and template.trainer.dtype is torch.float32:
                use_fast_tanh(self._network.module)

        self._observer: Observer | None = None
        self._observed = [Observed() for _ in range(places)]
        self.interval = criteria.every_n_steps
        if observe and is_observable(template):
            # No member needs more than its budget and the evaluation after it.
            whole_run = -(-(budget + 1) // criteria.every_n_steps) * criteria.every_n_steps
            self.interval = min(observe.interval(criteria.every_n_steps), whole_run)
            self._observer = Observer(template, observe, keep_curves)
        self._steps_made = 0

    # Entering and leaving.

    @property
    def free(self) -> int:
        """The number of empty places."""
        return self.members.count(None)

    @property
    def steps(self) -> list[int | None]:
        """Updates made at each place; None if empty."""
        steps = self.state.tracking.step.tolist()
        return [None if member is None else step for member, step in zip(self.members, steps, strict=True)]

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling; 0 before the first step, or uncompiled."""
        return self._step.seconds if isinstance(self._step, CompiledStep) else 0.0

    def put(self, member: Member, saved: dict[str, Any] | None = None) -> None:
        """Put a member in an empty place; it resumes from ``saved``, the result of `state_of`, if given."""
        place = self.members.index(None)
        self.members[place] = member
        self.state.put(place, member, saved)
        self._samples.put(place, member.data)
        self._minibatches.put(place, member, saved["tracking"]["step"] if saved else 0)
        self._observed[place] = Observed(**saved["observed"]) if saved else Observed()

    def state_of(self, place: int) -> dict[str, Any]:
        """The state of the member at ``place``, for `put` to resume from."""
        return {**self.state.saved(place), "observed": asdict(self._observed[place])}

    def take_decided(self) -> list[Outcome]:
        """Remove the members that have ended, and return their outcomes."""
        outcomes = []
        for place, ended in enumerate(self.state.tracking.ended()):
            member = self.members[place]
            if member is None or not ended:
                continue
            outcomes.append(self.state.tracking.outcome(place, member, self._observed[place]))
            self.members[place] = None
            self.state.tracking.vacate(place)
            self._minibatches.vacate(place)
        return outcomes

    # Training.

    def advance(self, steps: int) -> None:
        """Train every member for ``steps`` steps, or until it ends.

        Raises:
            UserError: the architecture or loss cannot be vectorised over networks.
        """
        with torch.no_grad():
            self._look(newcomers=True)
            while steps:
                until_look = self.interval - self._steps_made % self.interval
                part = min(steps, until_look) if self._observer else steps
                self._train(part)
                steps -= part
                if self._steps_made % self.interval == 0:
                    self._look()

    def _train(self, steps: int) -> None:
        minibatches = iter(()) if self._fused else self._minibatches.draw(steps)
        for coefficients in self.state.coefficients_ahead(steps):
            with nullcontext() if self._steps_made else refusing(self._what):
                self._train_one_step(coefficients, minibatches)
            self._steps_made += 1

    def _train_one_step(
        self, coefficients: Float[Tensor, "places parts coefficients"], minibatches: Iterator[MiniBatch]
    ) -> None:
        if self._fused:
            self._step(self._network, self.state, self._samples, coefficients)
            return
        # Members enter when every place has made a multiple of the interval, so all are due at the same steps.
        every = self.criteria.every_n_steps
        if self._steps_made % every in (0, self.budget % every):
            step = self.state.tracking.step
            due = (step % every == 0) | (step == self.budget)
            self.state.tracking.take_in(evaluate(self._network, self.state, self._samples), due)
        self._step(self._network, self.state, self._samples, next(minibatches), coefficients)

    # Observing embeddings.

    def _look(self, newcomers: bool = False) -> None:
        """Observe the embeddings of all members that are due, or only of newcomers."""
        if self._observer is None:
            return
        steps, ended = self.state.tracking.step.tolist(), self.state.tracking.ended()
        looks = [
            Look(place, member, steps[place], ended[place], observed)
            for place, (member, observed) in enumerate(zip(self.members, self._observed, strict=True))
            if member is not None and steps[place] <= self.budget and not observed.closed
        ]
        if newcomers:
            looks = [look for look in looks if not look.observed.looked]
        if looks:
            self._observer.look(vmap(self._network.embeddings)(self.state.parameters), looks)
