"""The section on interventions of ``benchmark.py``: a member-step of the toy with one, relative to one without."""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.places import places_for

CONFIG = Path(__file__).parent.parent / "configs/toy_addition.yaml"
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
    plain = full_batch({})
    rows = []
    for name, options in INTERVENTIONS.items():
        batch = full_batch({name: {"class_path": f"grokking_pl.callbacks.{name}", "init_args": options}})
        ratios = [seconds_of(batch) / seconds_of(plain) for _ in range(ROUNDS * repeats)]
        rows.append((f"member-step of figure 6a with {name}, over one without", f"{statistics.median(ratios):.2f}",
                     "at most 1.3"))  # fmt: skip
    return rows


def full_batch(callbacks: Mapping[str, Any]) -> Batch:
    """A compiled batch of toys after its first steps."""
    builder = MemberBuilder()
    settings = yaml.safe_load(CONFIG.read_text()) | {"callbacks": dict(callbacks)}
    settings = builder.complete(settings)
    template = builder.build(0, settings, 58)
    places = places_for(template, "cpu")
    batch = Batch(template, places, PhaseCriteria(), 10**6, compiled=True, shared_samples=True)
    for index in range(places):
        batch.put(builder.build(index, settings, 58))
    batch.advance(20)
    return batch


def seconds_of(batch: Batch) -> float:
    """Seconds for some steps, per member."""
    start = time.perf_counter()
    batch.advance(STEPS)
    return (time.perf_counter() - start) / len(batch.members)
