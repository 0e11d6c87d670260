"""The callbacks that are in every run of ``grok fit`` without being named."""

from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ProgressBar

from grokking_pl.callbacks import LossMonitor, RunCheckpoint, RunProgress, RunRecorder
from grokking_pl.commands.monitored import MonitoredMetrics

FIRST = (LossMonitor, RunRecorder)
LAST = (RunProgress, RunCheckpoint)


def with_standard_callbacks(config: Namespace) -> list[Callback]:
    """The configured callbacks, preceded and followed by every run's standard ones unless configured."""
    callbacks = as_list(config.callbacks)

    def lacks(kind: type[Callback]) -> bool:
        return not any(isinstance(callback, kind) for callback in callbacks)

    first = [kind() for kind in FIRST if lacks(kind)]
    last: list[Callback] = []
    if config.enable_progress_bar is not False and lacks(ProgressBar):
        last.append(RunProgress())
    if config.enable_checkpointing is not False and lacks(RunCheckpoint):
        last.append(RunCheckpoint())
    return [*first, *callbacks, MonitoredMetrics(), *last]


def as_list(value: Any) -> list[Any]:
    """Convert null, a single value or a list to a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
