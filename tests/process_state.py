"""What belongs to a whole process, and so, where many tests share one, to every test after the one that changes it."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
SET_BY_LIBRARIES = ("TORCH", "PYTORCH")
"""How variables begin that torch sets when a part of it is loaded, always to the same."""


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Fail where the process is left changed, which would make the order of the tests matter."""
    before = _state()
    yield
    after = _state()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert not changed, f"left changed: {[(name, before.get(name), after.get(name)) for name in sorted(changed)]}"


@contextlib.contextmanager
def put_back(own_modules: Path) -> Iterator[None]:
    """Undo what a command that runs in this process would take along at the end of its own.

    Args:
        own_modules: modules under this folder are forgotten.
    """
    import torch

    from grokking_pl.training.subnormal import are_subnormals_flushed, flush_subnormals

    environment, path, threads = dict(os.environ), list(sys.path), torch.get_num_threads()
    flushed = are_subnormals_flushed()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        torch.set_num_threads(threads)
        flush_subnormals(flushed)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(own_modules)):
                del sys.modules[name]


def _state() -> dict[str, Any]:
    import torch

    from grokking_pl.training.subnormal import are_subnormals_flushed

    # pytest's own variables tell which part of a test is running.
    others = ("PYTEST_", *SET_BY_LIBRARIES)
    return {f"${name}": value for name, value in os.environ.items() if not name.startswith(others)} | {
        "working directory": os.getcwd(),
        "import path": list(sys.path),
        "signal handlers": {number: signal.getsignal(number) for number in SIGNALS},
        "threads": torch.get_num_threads(),
        "subnormals flushed": are_subnormals_flushed(),
        "default type": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }
