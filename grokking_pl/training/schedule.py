"""Learning rate schedules: a warm-up and a decay, or any PyTorch scheduler, stepped every step."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from grokking_pl.errors import UserError
from grokking_pl.training.several_optimizers import SeveralOptimizers


@dataclass
class Schedule:
    """A linear warm-up from 0 and a decay, as a factor on the group's learning rate.

    Args:
        warmup_steps: steps over which the rate rises from 0; the first update has rate 0.
        decay: decay after the warm-up: "none", "linear", or "cosine" (a half cosine).
        decay_steps: steps of the decay; null for the rest of the run.
        final: factor at the end of the decay and afterwards.

    Raises:
        UserError: a value is out of range, or belongs to a decay but there is none.
    """

    warmup_steps: int = 0
    decay: Literal["none", "linear", "cosine"] = "none"
    decay_steps: int | None = None
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.warmup_steps < 0:
            raise UserError(f"a schedule's warmup_steps is {self.warmup_steps}; it must be at least 0")
        if self.decay not in ("none", "linear", "cosine"):
            raise UserError(f"a schedule's decay is {self.decay!r}; it must be none, linear or cosine")
        if self.decay_steps is not None and self.decay_steps < 1:
            raise UserError(f"a schedule's decay_steps is {self.decay_steps}; it must be at least 1, or null")
        if not 0 <= self.final < math.inf:
            raise UserError(f"a schedule's final is {self.final}; it must be a number of at least 0")
        for option in ("decay_steps", "final"):
            if self.decay == "none" and getattr(self, option):
                raise UserError(
                    f"a schedule's {option} is {getattr(self, option)}, but its decay is none: set decay to linear or "
                    f"cosine, or omit {option}"
                )

    def within(self, steps: int | None) -> "Schedule":
        """The schedule with its decay_steps set for a run of ``steps`` steps (None if unknown).

        Raises:
            UserError: the decay has no end.
        """
        if self.decay == "none" or self.decay_steps is not None:
            return self
        if steps is None:
            raise UserError("the schedule decays to the end of a run without one: set its decay_steps, or max_steps")
        return replace(self, decay_steps=max(1, steps - self.warmup_steps))

    def factor(self, step: int) -> float:
        """The factor on the group's learning rate for the update after ``step`` others.

        >>> schedule = Schedule(10, "cosine", 100, final=0.1)
        >>> [round(schedule.factor(step), 2) for step in (0, 5, 10, 60, 110, 500)]
        [0.0, 0.5, 1.0, 0.55, 0.1, 0.1]
        """
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if self.decay == "none":
            return 1.0
        if self.decay_steps is None:
            raise ValueError("the schedule decays to the end of a run: call within() first")
        done = min(1.0, (step - self.warmup_steps) / self.decay_steps)
        left = (1 + math.cos(math.pi * done)) / 2 if self.decay == "cosine" else 1 - done
        return self.final + (1 - self.final) * left


LRSchedulerFactory = Callable[[Optimizer], LRScheduler]
"""Makes a scheduler for an optimizer: a class of ``torch.optim.lr_scheduler`` with its options."""


class SeveralSchedulers(LRScheduler):
    """The schedulers of the parts of `SeveralOptimizers`, as one.

    Args:
        optimizer: the combined optimizer.
        schedulers: schedulers, each for one of its parts.
    """

    def __init__(self, optimizer: SeveralOptimizers, schedulers: Sequence[LRScheduler]) -> None:
        # The base's __init__ would start its own schedule.
        self.optimizer = optimizer
        self.schedulers = tuple(schedulers)

    def step(self, epoch: int | None = None) -> None:
        """Step each schedule."""
        for scheduler in self.schedulers:
            advance(scheduler)

    def get_last_lr(self) -> list[Any]:
        """The learning rates of all groups with a schedule."""
        return [rate for scheduler in self.schedulers for rate in scheduler.get_last_lr()]

    def state_dict(self) -> dict[str, Any]:
        """The states of the schedules."""
        return {"schedulers": [scheduler.state_dict() for scheduler in self.schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the states of the schedules."""
        for scheduler, state in zip(self.schedulers, state_dict["schedulers"], strict=True):
            scheduler.load_state_dict(state)


def advance(scheduler: LRScheduler) -> None:
    """Step a schedule; one that is over, and would raise an error, stays unchanged."""
    total = getattr(scheduler, "total_steps", None)
    if total is None or scheduler.last_epoch < total - 1:
        scheduler.step()


def schedule_optimizer(
    optimizer: Optimizer, schedules: Mapping[str, Schedule | LRSchedulerFactory | None], steps: int | None
) -> Any:
    """An optimizer, or an optimizer and its schedule, in Lightning's format.

    Args:
        optimizer: the optimizer; each of its groups has a name that starts with that of a group of the network.
        schedules: schedule of each group of the network; if they differ, each group has its own optimizer.
        steps: number of steps of the run; None if unknown.

    Raises:
        UserError: a scheduler cannot be made, or does not follow steps.
    """
    parts = optimizer.optimizers if isinstance(optimizer, SeveralOptimizers) else (optimizer,)
    schedulers: list[LRScheduler] = []
    notes: dict[str, None] = {}
    for part in parts:
        names = part.param_groups[0]["name"]
        schedule = next(schedule for name, schedule in schedules.items() if names.startswith(name))
        if schedule is None:
            continue
        scheduler = make_scheduler(part, schedule, steps)
        schedulers.append(scheduler)
        if note := steps and note_on_length(schedule if isinstance(schedule, Schedule) else scheduler, steps):
            notes[note] = None
    if not schedulers:
        return optimizer
    for note in notes:
        rank_zero_only(print)(note, file=sys.stderr)
    together = SeveralSchedulers(optimizer, schedulers) if isinstance(optimizer, SeveralOptimizers) else schedulers[0]
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": together, "interval": "step"}}


def make_scheduler(optimizer: Optimizer, schedule: Schedule | LRSchedulerFactory, steps: int | None) -> LRScheduler:
    """The scheduler of one optimizer in a run of ``steps`` steps (None if unknown).

    Raises:
        UserError: it cannot be made, or does not follow steps.
    """
    if isinstance(schedule, Schedule):
        factor = schedule.within(steps).factor
        return LambdaLR(optimizer, lambda step: factor(step))
    try:
        scheduler = schedule(optimizer)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"the schedule cannot be made ({' '.join(str(error).split())}): change its options; for a warm-up and a "
            "decay give warmup_steps, decay, decay_steps and final instead of a class"
        ) from error
    if isinstance(scheduler, ReduceLROnPlateau):
        raise UserError(
            "ReduceLROnPlateau follows a metric, but schedules here follow steps: use another, or a module whose "
            "configure_optimizers sets the metric and the frequency"
        )
    return scheduler


def note_on_length(schedule: Schedule | LRScheduler, steps: int) -> str:
    """A note if a schedule is longer than the run, or ends before it."""
    if isinstance(schedule, Schedule):
        name, length = "the schedule", schedule.warmup_steps + (schedule.decay_steps or 0)
        may_end = schedule.decay == "none" or schedule.decay_steps is None
    else:
        name = f"the schedule {type(schedule).__name__}"
        lengths = [getattr(schedule, option, None) for option in ("total_steps", "T_max", "total_iters")]
        length = next((length for length in lengths if length), 0)
        may_end = not length or type(schedule).__name__ in ("LinearLR", "ConstantLR")  # used for warm-ups
    if length > steps:
        return f"{name} takes {length} steps, but the run ends after {steps}"
    if length < steps and not may_end:
        return f"{name} takes {length} steps, and the run continues to {steps}"
    return ""
