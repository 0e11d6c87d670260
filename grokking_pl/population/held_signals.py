"""Ctrl-C and SIGTERM wait until every member of a batch stands at a step from which it can resume."""

import signal
import threading
from collections.abc import Callable
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class HeldSignals:
    """Holds signals that would end the command, from ``with`` to the end of the block or to `release`.

    They arrive anywhere, also within an update or between two evaluations. A second one takes effect at once. Signals
    that are ignored or left to the operating system stay so, and only the main thread receives any.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[..., Any]] = {}
        self._held: int | None = None

    def __enter__(self) -> "HeldSignals":
        """Begin to hold signals."""
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._hold)
        return self

    def __exit__(self, *error: object) -> None:
        """Handle signals as before."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        """Whether a signal is held."""
        return self._held is not None

    def release(self) -> None:
        """Let a held signal take effect.

        Raises:
            KeyboardInterrupt: by the handlers of Ctrl-C and, in commands, of SIGTERM.
        """
        if self._held is not None:
            self._handlers[self._held](self._held, None)

    def _hold(self, number: int, frame: Any) -> None:
        if self:
            self._handlers[number](number, frame)
        self._held = number
