"""How the learning rate changes over a run: a warm-up and a decay, or any scheduler of PyTorch's, made each step."""

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
    """A linear warm-up from 0, and then a decay; the learning rate is that of the group times a factor.

    Args:
        warmup_steps: steps over which the rate rises from 0; the first update has rate 0.
        decay: how it falls after the warm-up: "none", "linear", or "cosine", a half cosine.
        decay_steps: steps over which it falls; null for the rest of the run.
        final: the factor at the end of the decay, which it keeps from then on.

    Raises:
        UserError: a value is out of its range.
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

    def within(self, steps: int | None) -> "Schedule":
        """The schedule in a run of so many steps, None if nobody knows how many: with a number of steps of decay.

        Raises:
            UserError: the decay has no end.
        """
        if self.decay == "none" or self.decay_steps is not None:
            return self
        if steps is None:
            raise UserError("a schedule decays to the end of a run that has none: set its decay_steps, or max_steps")
        return replace(self, decay_steps=max(1, steps - self.warmup_steps))

    def factor(self, step: int) -> float:
        """The learning rate of the update after ``step`` others, over that of the group.

        >>> schedule = Schedule(10, "cosine", 100, final=0.1)
        >>> [round(schedule.factor(step), 2) for step in (0, 5, 10, 60, 110, 500)]
        [0.0, 0.5, 1.0, 0.55, 0.1, 0.1]
        """
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if self.decay == "none":
            return 1.0
        if self.decay_steps is None:
            raise ValueError("the schedule decays to the end of a run: ask it within one")
        done = min(1.0, (step - self.warmup_steps) / self.decay_steps)
        left = (1 + math.cos(math.pi * done)) / 2 if self.decay == "cosine" else 1 - done
        return self.final + (1 - self.final) * left


LRSchedulerFactory = Callable[[Optimizer], LRScheduler]
"""Makes a scheduler of an optimizer: a class of ``torch.optim.lr_scheduler`` with its options."""


class SeveralSchedulers(LRScheduler):
    """The schedulers of the parts of `SeveralOptimizers`, as one.

    Args:
        optimizer: the optimizers as one.
        schedulers: each of one of them.
    """

    def __init__(self, optimizer: SeveralOptimizers, schedulers: Sequence[LRScheduler]) -> None:
        # The base's would begin a schedule of its own.
        self.optimizer = optimizer
        self.schedulers = tuple(schedulers)

    def step(self, epoch: int | None = None) -> None:
        """Make a step of each schedule."""
        for scheduler in self.schedulers:
            advance(scheduler)

    def get_last_lr(self) -> list[Any]:
        """The learning rates of all groups that have a schedule."""
        return [rate for scheduler in self.schedulers for rate in scheduler.get_last_lr()]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedules are."""
        return {"schedulers": [scheduler.state_dict() for scheduler in self.schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where the schedules were."""
        for scheduler, state in zip(self.schedulers, state_dict["schedulers"], strict=True):
            scheduler.load_state_dict(state)


def advance(scheduler: LRScheduler) -> None:
    """Make a step of a schedule; one that is over, which would raise an error, stays where it is."""
    total = getattr(scheduler, "total_steps", None)
    if total is None or scheduler.last_epoch < total - 1:
        scheduler.step()


def schedule_optimizer(
    optimizer: Optimizer, schedules: Mapping[str, Schedule | LRSchedulerFactory | None], steps: int | None
) -> Any:
    """An optimizer, or an optimizer and its schedule, as Lightning wants them.

    Args:
        optimizer: the optimizer; the name of each of its groups begins with that of a group of the network.
        schedules: that of each group of the network; where they differ, each group has an optimizer of its own.
        steps: of the run; None if nobody knows how many.

    Raises:
        UserError: a scheduler cannot be made, or follows something else than the steps.
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
    """The scheduler of one optimizer in a run of so many steps; None if nobody knows how many.

    Raises:
        UserError: it cannot be made, or follows something else than the steps.
    """
    if isinstance(schedule, Schedule):
        factor = schedule.within(steps).factor
        return LambdaLR(optimizer, lambda step: factor(step))
    try:
        scheduler = schedule(optimizer)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"the schedule cannot be made ({' '.join(str(error).split())}): change its options; a warm-up and a decay "
            "need no class but warmup_steps, decay, decay_steps and final"
        ) from error
    if isinstance(scheduler, ReduceLROnPlateau):
        raise UserError(
            "ReduceLROnPlateau follows a metric, and a schedule here the steps: use another, or a module whose own "
            "configure_optimizers says which metric and how often"
        )
    return scheduler


def note_on_length(schedule: Schedule | LRScheduler, steps: int) -> str:
    """What a user may not have meant: that a schedule is longer than the run, or is over before its end."""
    if isinstance(schedule, Schedule):
        name, length = "the schedule", schedule.warmup_steps + (schedule.decay_steps or 0)
        may_end = schedule.decay == "none" or schedule.decay_steps is None
    else:
        name = f"the schedule {type(schedule).__name__}"
        lengths = [getattr(schedule, option, None) for option in ("total_steps", "T_max", "total_iters")]
        length = next((length for length in lengths if length), 0)
        may_end = not length or type(schedule).__name__ in ("LinearLR", "ConstantLR")  # they are used for warm-ups
    if length > steps:
        return f"{name} takes {length} steps, but the run ends after {steps}"
    if length < steps and not may_end:
        return f"{name} takes {length} steps, and the run continues to {steps}"
    return ""
