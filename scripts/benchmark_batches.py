"""The section on batches of ``benchmark.py``: a member-step of ``grok diagram`` against a step of ``grok fit``."""

import os
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from grokking_pl.experiments import set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.places import places_for
from grokking_pl.sizes import Sizes

CONFIGS = Path(__file__).parent.parent / "configs"
EVALUATE_EVERY = 100
SECONDS = 8.0
"""Duration of each measurement."""


class ConvolutionalNetwork(nn.Module):
    """A small convolutional network for images of 28 x 28."""

    def __init__(self, sizes: Sizes, channels: int = 8) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)),
            nn.Conv2d(1, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(2 * channels * 7 * 7, sizes.outputs)

    def embedding_parameters(self) -> list[nn.Parameter]:
        """The parameters of the layers that compute the representation."""
        return list(self.features.parameters())

    def forward(self, images: Tensor) -> Tensor:
        """One output per class."""
        outputs: Tensor = self.classifier(self.features(images))
        return outputs


NETWORKS = (
    ("small transformer", "transformer_modular_addition_small.yaml", None, 400),
    ("perceptron on MNIST", "mnist_grok.yaml", None, 600),
    ("small convolutional network on MNIST", "mnist_grok.yaml", "benchmark_batches.ConvolutionalNetwork", 400),
)
"""Name, configuration, architecture if different, and steps of the single run."""


def batches(time_grok: Callable[..., float], repeats: int) -> list[tuple[str, str, str]]:
    """Measure, and return rows of quantity, result and target."""
    rows = []
    for name, config, architecture, steps in NETWORKS:
        options = ["--trainer.callbacks=PhaseTracker", f"--trainer.callbacks.every_n_steps={EVALUATE_EVERY}"]
        options += [f"--model.architecture={architecture}"] if architecture else []
        rounds = [
            (member_step(config, architecture) * 1e3, time_grok(config, steps, *options) * 1e3) for _ in range(repeats)
        ]
        ratio = statistics.median(member / alone for member, alone in rounds)
        ms = statistics.median(member for member, _ in rounds)
        rows.append((f"{name}: {ms:.2f} ms a member-step, over a step of grok fit", f"{ratio:.2f}", "at most 1.0"))
    return rows


def member_step(config: str, architecture: str | None) -> float:
    """Seconds on all cores for a member-step, including evaluations."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    context = get_context("spawn")
    barrier, results = context.Barrier(cores), context.Queue()
    workers = [context.Process(target=_worker, args=(barrier, results, config, architecture)) for _ in range(cores)]
    for worker in workers:
        worker.start()
    outcomes = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return float(statistics.mean(outcomes)) / cores


def _worker(barrier: Any, results: Any, config: str, architecture: str | None) -> None:
    """Put the seconds on one core for a member-step, or the error, into the results."""
    try:
        results.put(_measure(barrier, config, architecture))
    except Exception as error:
        barrier.abort()
        results.put(error)


def _measure(barrier: Any, config: str, architecture: str | None) -> float:
    torch.set_num_threads(1)
    builder = MemberBuilder()
    settings = yaml.safe_load((CONFIGS / config).read_text())
    if architecture:
        set_value(settings, "model.architecture", architecture)
    settings = builder.complete({section: settings[section] for section in ("model", "data")})
    template = builder.build(0, settings, 0)
    places = places_for(template, "cpu")
    batch = Batch(
        template, places, PhaseCriteria(every_n_steps=EVALUATE_EVERY), 10**6, compiled=True, shared_samples=True
    )
    for index in range(places):
        batch.put(builder.build(index, settings, 0))
    batch.advance(EVALUATE_EVERY + 1)
    barrier.wait()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        batch.advance(EVALUATE_EVERY)
        steps += EVALUATE_EVERY
    return (time.perf_counter() - start) / steps / places
