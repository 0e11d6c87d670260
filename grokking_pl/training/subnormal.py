"""Subnormal numbers, the smallest of floating point, whose arithmetic is far slower than that of any others."""

import torch


def flush_subnormals(on: bool) -> None:
    """Replace subnormal numbers by 0, or no longer, in this thread and in those that it starts from now on.

    Where a unit is saturated, gradients and first moments fall through the subnormal numbers (below 1.2e-38 in single
    precision), and a processor takes some hundred cycles for each. No other number changes by more than that.
    """
    torch.set_flush_denormal(on)


def are_subnormals_flushed() -> bool:
    """Whether this thread replaces subnormal numbers by 0."""
    return (torch.full((), 1e-30, dtype=torch.float32, device="cpu") * 1e-10).item() == 0
