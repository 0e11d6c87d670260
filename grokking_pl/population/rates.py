"""Scheduled learning rates of members, as factors per step."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from grokking_pl.errors import UserError
from grokking_pl.training import Schedule
from grokking_pl.training.optimizer import Optimization, build_optimizer
from grokking_pl.training.schedule import LRSchedulerFactory, advance, make_scheduler, note_on_length

if TYPE_CHECKING:
    from grokking_pl.population.member import Member

SEEN_STEPS = 3
"""Steps within which a schedule that changes other options does so."""


class Rates:
    """Learning rate factors at each place; equal schedules are stored once.

    Args:
        places: number of places.
        parts: number of parts of a network with learning rates.
        budget: steps of a run.
        device: device of the factors.
    """

    def __init__(self, places: int, parts: int, budget: int, device: torch.device) -> None:
        self._budget = budget
        self._rows: dict[Any, int] = {}
        self._factors: Float[Tensor, "schedules steps"] = torch.ones(1, 1, dtype=torch.float64, device=device)
        self._row: Int[Tensor, "places parts"] = torch.zeros(places, parts, dtype=torch.int64, device=device)

    def put(self, place: int, member: "Member") -> None:
        """Set the schedules of a place's new member."""
        for number, part in enumerate(member.updates):
            group = next(name for name in member.schedules if part.startswith(name))
            self._row[place, number] = self._row_of(member.schedules[group], member.optimization[group])

    def scheduled(
        self, options: Float[Tensor, "steps places parts options"], numbers: Float[Tensor, "steps places parts"]
    ) -> Float[Tensor, "steps places parts options"]:
        """Apply the schedules to the options of updates with these numbers (from 1); the first option is the rate."""
        if not self._rows:
            return options
        before = (numbers.long() - 1).clamp(max=self._factors.shape[1] - 1)
        factors = self._factors[self._row.expand_as(before), before]
        return torch.cat([options[..., :1] * factors[..., None], options[..., 1:]], -1)

    def _row_of(self, schedule: Schedule | LRSchedulerFactory | None, optimization: Optimization) -> int:
        if schedule is None:
            return 0
        key = repr(schedule) if isinstance(schedule, Schedule) else (schedule, repr(optimization))
        if key not in self._rows:
            factors = torch.tensor(factors_of(schedule, optimization, self._budget), dtype=torch.float64)
            ones = torch.ones(len(self._factors), len(factors), dtype=torch.float64)
            ones[:, : self._factors.shape[1]] = self._factors
            self._factors = torch.cat([ones, factors[None]]).to(self._row.device)
            self._rows[key] = len(self._factors) - 1
        return self._rows[key]


def factors_of(schedule: Schedule | LRSchedulerFactory, optimization: Optimization, steps: int) -> list[float]:
    """The factors on the group's learning rate at each of ``steps`` updates."""
    if isinstance(schedule, Schedule):
        return [schedule.within(steps).factor(step) for step in range(steps)]
    return list(_factors(schedule, optimization, steps))


def notes_on_schedules(member: "Member", steps: int) -> list[str]:
    """Notes on schedules whose length differs from that of a run of ``steps`` steps."""
    notes = []
    for name, schedule in member.schedules.items():
        if schedule is not None:
            optimizer = build_optimizer({name: [nn.Parameter(torch.zeros(1, 1))]}, member.optimization, fused=False)
            scheduler = schedule if isinstance(schedule, Schedule) else make_scheduler(optimizer, schedule, steps)
            notes.append(note_on_length(scheduler, steps))
    return sorted({note for note in notes if note})


def check_schedules(
    optimization: Mapping[str, Optimization], schedules: Mapping[str, Schedule | LRSchedulerFactory | None]
) -> None:
    """Raise a `UserError` for a schedule that cannot be made or changes more than the learning rate."""
    for name, schedule in schedules.items():
        if schedule is not None and not isinstance(schedule, Schedule):
            for _ in _factors(schedule, optimization[name], SEEN_STEPS):
                pass


def _factors(schedule: LRSchedulerFactory, optimization: Optimization, steps: int) -> Iterator[float]:
    """Like `factors_of`, for a PyTorch scheduler, step by step."""
    optimizer = build_optimizer({"group": [nn.Parameter(torch.zeros(1, 1))]}, {"group": optimization}, fused=False)
    group = optimizer.param_groups[0]
    options = {name: value for name, value in group.items() if name != "params"}
    scheduler = make_scheduler(optimizer, schedule, steps)
    for _ in range(steps):
        changed = next((name for name, value in options.items() if name != "lr" and group[name] != value), None)
        if changed:
            raise UserError(
                f"a diagram cannot train with {type(scheduler).__name__}, which changes {changed}: set "
                "cycle_momentum to false, or train with grok fit or grok sweep"
            )
        if not options["lr"] and group["lr"]:
            raise UserError(f"{type(scheduler).__name__} sets its own learning rate: also give lr, above 0")
        yield group["lr"] / options["lr"] if options["lr"] else 1.0
        optimizer.step()
        advance(scheduler)
