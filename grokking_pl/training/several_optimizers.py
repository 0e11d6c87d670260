"""Several optimizers with their own groups, as one."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from grokking_pl.errors import UserError


class SeveralOptimizers(Optimizer):
    """Optimizers that step together, with one state and all groups.

    Groups and state are shared with the optimizers themselves, so schedules, clipping and gradient scalers act on all,
    and a checkpoint looks like that of one optimizer.

    Args:
        optimizers: optimizers without common parameters.

    Raises:
        UserError: one of them evaluates the loss itself, which is impossible together with others.
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        for optimizer in optimizers:
            closure = inspect.signature(optimizer.step).parameters.get("closure")
            if closure is not None and closure.default is inspect.Parameter.empty:
                raise UserError(
                    f"{type(optimizer).__name__} evaluates the loss itself, so it cannot be combined with others: "
                    "use it for all groups, with the same schedule"
                )
        self.optimizers = tuple(optimizers)
        super().__init__([group for optimizer in optimizers for group in optimizer.param_groups], {})
        self._share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate the loss once, and perform one update with each optimizer."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state and options of every optimizer from a checkpoint."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Share state and groups with the optimizers again, since loading a checkpoint recreates them."""
        groups = iter(self.param_groups)
        for optimizer in self.optimizers:
            optimizer.state = self.state
            # In place, because an optimizer may itself share its list of groups.
            optimizer.param_groups[:] = [next(groups) for _ in optimizer.param_groups]
