"""The section on interventions of ``benchmark.py``: a member-step of the toy with one, relative to one without."""

import statistics
import time
from typing import Any

import torch
from toy_batches import ToyBatches

from grokking_pl.population.batch import Batch

STEPS = 60
"""Steps per measurement."""
ROUNDS = 5
"""Measurements per repeat: they are short, and the machine is not quiet."""
INTERVENTIONS: dict[str, dict[str, Any]] = {
    "GradientFilter": {"alpha": 0.98, "lamb": 2.0},
    "GradientWindow": {"window": 10, "lamb": 5.0},
    "OrthogonalGradient": {},
    "GradientNoise": {"strength": 0.01},
    "HeldNorm": {},
    "DecayToInitial": {"rate": 1e-4},
    "FrozenGroup": {"group": "embeddings", "until_step": 10},
}


def interventions(repeats: int) -> list[tuple[str, str, str]]:
    """Measure, and return rows of quantity, result and target. One core, one batch at a time."""
    torch.set_num_threads(1)
    plain = ToyBatches().full()
    rows = []
    for name, options in INTERVENTIONS.items():
        callback = {"class_path": f"grokking_pl.callbacks.{name}", "init_args": options}
        batch = ToyBatches({name: callback}).full()
        ratios = [seconds_of(batch) / seconds_of(plain) for _ in range(ROUNDS * repeats)]
        rows.append((f"member-step of figure 6a with {name}, over one without", f"{statistics.median(ratios):.2f}",
                     "at most 1.3"))  # fmt: skip
    return rows


def seconds_of(batch: Batch) -> float:
    """Seconds for some steps, per member."""
    start = time.perf_counter()
    batch.advance(STEPS)
    return (time.perf_counter() - start) / len(batch.members)
