"""Several optimizers, each with groups of its own, as one."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from grokking_pl.errors import UserError


class SeveralOptimizers(Optimizer):
    """Optimizers that make their steps together: one step, one state, and the groups of all.

    The groups and the state are those of the optimizers themselves, so that schedules, clipping and gradient scalers
    act on all, and a checkpoint is that of one optimizer.

    Args:
        optimizers: the optimizers; no two have a parameter in common.

    Raises:
        UserError: one of them evaluates the loss itself, which it cannot beside another.
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        for optimizer in optimizers:
            closure = inspect.signature(optimizer.step).parameters.get("closure")
            if closure is not None and closure.default is inspect.Parameter.empty:
                raise UserError(
                    f"{type(optimizer).__name__} evaluates the loss itself, which it cannot beside another optimizer: "
                    "give it to all groups, with the same schedule"
                )
        self.optimizers = tuple(optimizers)
        super().__init__([group for optimizer in optimizers for group in optimizer.param_groups], {})
        self._share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate the loss once, and make one update with each optimizer."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state and the options of a checkpoint, for every optimizer."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Give the optimizers the state and the groups, which are made anew when a checkpoint is loaded."""
        groups = iter(self.param_groups)
        for optimizer in self.optimizers:
            optimizer.state = self.state
            # In place: an optimizer may itself share its list of groups with another.
            optimizer.param_groups[:] = [next(groups) for _ in optimizer.param_groups]
