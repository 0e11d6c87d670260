"""Compiling a step: all that the population knows of ``torch.compile``."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from grokking_pl.population.failure import first_line, is_out_of_memory
from grokking_pl.population.network import MemberNetwork
from grokking_pl.population.state import State


class CompiledStep:
    """A step that is compiled at its first call; where that fails, it says so and is run as it is, from then on.

    No step can run another's graph, or one that no longer fits. Compiled graphs are kept by code, but each of these
    keeps its own (``isolate_recompiles``). The guards on shapes, types and devices of tensors, on gradient mode and on
    the number of threads are kept: what breaks one is compiled anew. Those that are left out, some hundred, watch the
    network's modules and other objects, which belong to one batch and never change; to check them takes as long as the
    step of a member.

    Args:
        step: one of `grokking_pl.population.step`: changes the state that it is given, in place.

    Attributes:
        seconds: what compiling took; 0 until then, or if it failed.
    """

    def __init__(self, step: Callable[..., None]) -> None:
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it looks for CUDA's compiler
        self.seconds = 0.0
        self._tried = False
        self._plain = step
        self._run: Callable[..., None] = torch.compile(  # type: ignore[call-overload]  # not told of isolate_recompiles
            step,
            dynamic=False,
            fullgraph=True,
            isolate_recompiles=True,
            options={"guard_filter_fn": torch.compiler.keep_portable_guards_unsafe},
        )

    def __call__(self, network: MemberNetwork, state: State, *rest: Any) -> None:
        """Make the step."""
        if self._tried:
            self._run(network, state, *rest)
            return
        self._tried = True
        before = [tensor.clone() for tensor in state.tensors()]
        start = time.monotonic()
        try:
            self._run(network, state, *rest)
            self.seconds = time.monotonic() - start
        except Exception as error:
            if is_out_of_memory(error):
                raise
            print(f"training without torch.compile: {first_line(error)}", file=sys.stderr, flush=True)
            for tensor, value in zip(state.tensors(), before, strict=True):
                tensor.copy_(value)
            self._run = self._plain
            self._run(network, state, *rest)


def forget_compiled_steps() -> None:
    """Free what was compiled in this process; a step that is still needed is compiled anew at its next call.

    The graphs of batches that are done are kept until then, and there is a limit to the number of all.
    """
    torch.compiler.reset()
