"""Reading optimizer and schedule settings of a cell."""

import json
from functools import lru_cache
from typing import Any

from jsonargparse import ArgumentParser

from grokking_pl.errors import UserError, find_user_error
from grokking_pl.experiments.messages import one_line
from grokking_pl.training import GroupOptions, Schedule
from grokking_pl.training.optimizer import Optimization, OptimizerFactory
from grokking_pl.training.schedule import LRSchedulerFactory


class OptionsReader:
    """Reads the settings of groups and schedules; AdamW's, the most frequent, without a parser."""

    def __init__(self) -> None:
        self._parser = ArgumentParser(exit_on_error=False)
        self._parser.add_argument("--group", type=GroupOptions | OptimizerFactory)
        self._parser.add_argument("--schedule", type=Schedule | LRSchedulerFactory | None)
        self._read = lru_cache(maxsize=1000)(self._read_uncached)

    def group(self, given: Any) -> Optimization:
        """Read the optimizer settings of a group.

        Raises:
            UserError: the settings are invalid.
        """
        if isinstance(given, dict) and "class_path" not in given:
            return GroupOptions(**{**given, "betas": tuple(given.get("betas", (0.9, 0.999)))})
        optimization: Optimization = self._read("group", json.dumps(given))
        return optimization

    def schedule(self, given: Any) -> Schedule | LRSchedulerFactory | None:
        """Read a schedule; None for a constant rate.

        Raises:
            UserError: the settings are invalid.
        """
        schedule: Schedule | LRSchedulerFactory | None = given and self._read("schedule", json.dumps(given))
        return schedule

    def _read_uncached(self, name: str, text: str) -> Any:
        try:
            return getattr(self._parser.instantiate(self._parser.parse_object({name: json.loads(text)})), name)
        except Exception as error:
            raise find_user_error(error) or UserError(one_line(str(error))) from None
