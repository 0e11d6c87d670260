"""What belongs to a whole process, and so, where many tests share one, to every test after the one that changes it."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


def read_state() -> dict[str, Any]:
    """Everything that a test has to leave as it was."""
    import torch

    return {
        "working directory": os.getcwd(),
        # pytest's own variable tells which part of a test is running.
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "import path": list(sys.path),
        "signal handlers": {number: signal.getsignal(number) for number in SIGNALS},
        "threads": torch.get_num_threads(),
        "default type": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


@contextlib.contextmanager
def put_back(own_modules: Path) -> Iterator[None]:
    """Undo what a command that runs in this process would take along at the end of its own.

    Args:
        own_modules: modules under this folder are forgotten.
    """
    import torch

    before = read_state()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before["environment"])
        sys.path[:] = before["import path"]
        for number, handler in before["signal handlers"].items():
            signal.signal(number, handler)
        torch.set_num_threads(before["threads"])
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(own_modules)):
                del sys.modules[name]
