"""Compilation of the training step with ``torch.compile``."""

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
    """A step compiled at its first call; if that fails, it says so and runs uncompiled from then on.

    Graphs are never shared between steps or used when they no longer fit. Compiled graphs are cached by code, but each
    step keeps its own (``isolate_recompiles``). Guards on tensors' shapes, types and devices, on gradient mode and on
    the number of threads are kept and trigger recompilation. Some hundred other guards, on the network's modules and
    other objects, are dropped: these objects belong to one batch and never change, and checking them takes as long as a
    member's step.

    Args:
        step: function of `grokking_pl.population.step`, which changes the state in place.

    Attributes:
        seconds: seconds spent compiling; 0 before, or if it failed.
    """

    def __init__(self, step: Callable[..., None]) -> None:
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # warns if CUDA's compiler is missing
        self.seconds = 0.0
        self._tried = False
        self._plain = step
        self._run: Callable[..., None] = torch.compile(  # type: ignore[call-overload]  # stubs lack isolate_recompiles
            step,
            dynamic=False,
            fullgraph=True,
            isolate_recompiles=True,
            options={"guard_filter_fn": torch.compiler.keep_portable_guards_unsafe},
        )

    def __call__(self, network: MemberNetwork, state: State, *rest: Any) -> None:
        """Perform the step."""
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
    """Free everything compiled in this process; steps still in use are recompiled at their next call.

    Graphs of finished batches are kept until then, and their total number is limited.
    """
    torch.compiler.reset()
