"""Progress of every member: updates, crossed thresholds and accuracy curves."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from grokking_pl.metrics.crossings import NEVER, PhaseCriteria, decided, further_columns, track_crossings
from grokking_pl.population.curves import POINTS, UNSEEN, curve_slots, points_of, record_point
from grokking_pl.population.member import Member
from grokking_pl.population.observation import Observed
from grokking_pl.population.outcome import Outcome
from grokking_pl.spacing import log_spaced_steps

SAVED = ("step", "since", "reached", "final", "curve")
"""Entries saved when a member leaves its place before its phase is decided."""


class Tracking:
    """Progress at every place, as tensors on the device, so that no step has to wait.

    Args:
        places: number of places.
        criteria: criteria for a member's phase.
        budget: steps within which the thresholds must be reached.
        keep_curves: whether to keep accuracy curves.
        device: device to train on.
        stop_when_decided: whether a member ends as soon as its phase is decided, or trains for the whole budget.

    Attributes:
        step: updates made.
        needed: numbers of correct training and validation samples at which each threshold is crossed.
        since: first step of the current stay above each threshold; -1 below it.
        reached: step at which each threshold was crossed; -1 for not yet.
        final: numbers of correct samples at the last evaluation before the phase was decided, or within the budget.
        curve: numbers of correct samples at the steps of the curve, if curves are kept.
    """

    def __init__(
        self,
        places: int,
        criteria: PhaseCriteria,
        budget: int,
        keep_curves: bool,
        device: torch.device,
        stop_when_decided: bool = True,
    ) -> None:
        self._criteria = criteria
        self._budget = budget
        self._stop_when_decided = stop_when_decided

        def full(value: int, *shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.full((places, *shape), value, dtype=dtype, device=device)

        # Empty places have spent their budget, so nothing happens there.
        self.step: Int[Tensor, " places"] = full(budget + 1)
        self._crossings = len(criteria.least_correct((0, 0)))
        self.needed: Int[Tensor, "places crossings"] = full(0, self._crossings)
        self.since: Int[Tensor, "places crossings"] = full(NEVER, self._crossings)
        self.reached: Int[Tensor, "places crossings"] = full(NEVER, self._crossings)
        self.final: Int[Tensor, "places 2"] = full(0, 2)
        self.curve: Int[Tensor, "places points 2"] | None = None
        if keep_curves:
            self._curve_steps = log_spaced_steps(budget, POINTS, criteria.every_n_steps)
            self._slots = curve_slots(self._curve_steps, budget).to(device)
            self.curve = full(UNSEEN, len(self._curve_steps) + 1, 2, dtype=torch.int32)

    # Entering and leaving.

    def put(self, place: int, member: Member, saved: dict[str, Any] | None) -> None:
        """Start the record of a new member, or resume it from the result of `saved`."""
        if self.curve is not None:
            self.curve[place] = UNSEEN
        never = [NEVER] * self._crossings
        saved = saved or {"step": 0, "since": never, "reached": never, "final": [0] * 2}
        for name, value in saved.items():
            getattr(self, name)[place] = torch.as_tensor(value)
        self.needed[place] = torch.tensor(self._criteria.least_correct(member.set_sizes))

    def saved(self, place: int) -> dict[str, Any]:
        """The progress of the member at a place, for `put` to resume from."""
        stacks = {name: getattr(self, name) for name in SAVED}
        return {name: stack[place].tolist() for name, stack in stacks.items() if stack is not None}

    def vacate(self, place: int) -> None:
        """Remove the member of a place."""
        self.step[place] = self._budget + 1

    # Evaluations.

    def take_in(self, correct: Int[Tensor, "places 2"], evaluated: Bool[Tensor, " places"]) -> None:
        """Record one evaluation of the members that are ``evaluated`` at their current step."""
        if self.curve is not None:
            running = evaluated & ~self._ended()
            record_point(self.curve, self._slots, correct, self.step, running)
        track_crossings(
            correct,
            self.needed,
            self.step,
            self.since,
            self.reached,
            self.final,
            evaluated,
            self._budget,
            self._criteria.window,
        )
        if not self._stop_when_decided:
            running = (evaluated & ~self._ended())[:, None]
            self.final.copy_(torch.where(running, correct, self.final))

    def ended(self) -> list[bool]:
        """Whether the member at each place has ended; true for empty places."""
        return self._ended().tolist()

    def _ended(self) -> Bool[Tensor, " places"]:
        if self._stop_when_decided:
            return decided(self.reached, self.step, self._budget)
        return self.step > self._budget

    def outcome(self, place: int, member: Member, observed: Observed) -> Outcome:
        """The outcome of the finished member at a place."""
        to_train, to_val, *further = (None if step == NEVER else step for step in self.reached[place].tolist())
        steps = self._budget
        if self._stop_when_decided and None not in (to_train, to_val, *further):
            steps = int(self.reached[place].max()) + self._criteria.window
        named_further = dict(zip(further_columns(self._criteria.further_thresholds), further, strict=True))
        sizes = member.set_sizes
        train, val = (count / max(1, size) for count, size in zip(self.final[place].tolist(), sizes, strict=True))
        curve: list[tuple[int, float, float]] = []
        if self.curve is not None:
            curve = points_of(self.curve[place].tolist(), self._curve_steps, sizes, (steps, train, val))
        return Outcome(member.index, to_train, to_val, train, val, steps, observed, curve, named_further)

    def tensors(self) -> list[Tensor]:
        """All tensors that change during training."""
        return [self.step, self.since, self.reached, self.final, *([] if self.curve is None else [self.curve])]
