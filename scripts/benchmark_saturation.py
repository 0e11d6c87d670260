"""The section on saturation of ``benchmark.py``: a member-step of the toy at a rate where its units saturate.

Gradients through a saturated unit are subnormal numbers, and arithmetic with these is slow.
"""

import statistics
import time

import torch
from toy_batches import ToyBatches

from grokking_pl.population.batch import Batch
from grokking_pl.training.subnormal import flush_subnormals

RATE = 1e-2
STEPS_BEFORE = 4000
"""Steps after which many units are saturated at that rate."""
STEPS = 60
"""Steps per measurement."""


def saturation(repeats: int) -> list[tuple[str, str, str]]:
    """Measure, and return rows of quantity, result and target. One core, one batch at a time."""
    torch.set_num_threads(1)
    moderate, saturated = ToyBatches().full(), ToyBatches(decoder_lr=RATE).full()
    ratios: dict[bool, list[float]] = {True: [], False: []}
    try:
        for batch in (moderate, saturated):
            flush_subnormals(True)
            batch.advance(STEPS_BEFORE)
        for _ in range(repeats):
            for flushed, of_setting in ratios.items():
                flush_subnormals(flushed)
                of_setting.append(seconds_of(saturated) / seconds_of(moderate))
    finally:
        flush_subnormals(False)
    name = f"member-step of figure 6a at the rate {RATE:g}, over one at 1e-4"
    return [
        (name, f"{statistics.median(ratios[True]):.2f}", "at most 1.1"),
        (f"{name}, with subnormals", f"{statistics.median(ratios[False]):.2f}", ""),
    ]


def seconds_of(batch: Batch) -> float:
    """Seconds for some steps, after a few that change to the present treatment of subnormal numbers."""
    batch.advance(STEPS)
    start = time.perf_counter()
    batch.advance(STEPS)
    return time.perf_counter() - start
