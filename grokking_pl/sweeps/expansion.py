"""Expansion of a sweep into runs: all points of its grid, or random points."""

import itertools
from typing import Any

import numpy as np

from grokking_pl.errors import UserError
from grokking_pl.sweeps.distributions import draw, grid_values
from grokking_pl.sweeps.sweep_file import SweepFile

MOST_RUNS = 10**5


def expand(sweep: SweepFile, count: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """The parameters of each run, by path.

    In a grid the last parameter changes fastest. A random run depends only on the seed and its own number, so that more
    runs start with the same ones.

    Args:
        sweep: the sweep.
        count: number of runs; None for the sweep's ``run_cap``, or all of a grid.
        seed: seed of random points.

    Raises:
        UserError: the method needs W&B's server, or the number of runs is unknown or too large.
    """
    if sweep.method == "bayes":
        raise UserError(
            "the method bayes chooses runs from earlier results, on W&B's server: use wandb sweep and "
            "wandb agent; grok sweep runs grid and random"
        )
    if count is not None and count < 1:
        raise UserError(f"count is {count}; it must be at least 1")
    limit = count or sweep.run_cap
    if sweep.method == "random":
        if limit is None:
            raise UserError("a random sweep has no end: give the number of runs by --count, or by run_cap in its file")
        _check_number(limit)
        generators = (np.random.default_rng([seed, number]) for number in range(limit))
        return [{path: draw(spec, rng) for path, spec in sweep.parameters.items()} for rng in generators]
    axes = [grid_values(path, spec) for path, spec in sweep.parameters.items()]
    points = itertools.islice(itertools.product(*axes), limit or MOST_RUNS + 1)
    runs = [dict(zip(sweep.parameters, point, strict=True)) for point in points]
    _check_number(len(runs))
    return runs


def _check_number(runs: int) -> None:
    if runs > MOST_RUNS:
        raise UserError(f"the sweep has more than {MOST_RUNS} runs, each in its own process: make it smaller")
