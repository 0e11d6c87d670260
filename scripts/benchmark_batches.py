"""The section on batches of ``benchmark.py``: a member-step of ``grok diagram`` against a step of ``grok fit``."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from all_cores import cores, on_all_cores
from benchmark_roofline import seconds_of_outputs, seconds_of_training
from torch import Tensor, nn

from grokking_pl.experiments import set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import MemberBuilder
from grokking_pl.population.places import places_for
from grokking_pl.sizes import Sizes

CONFIGS = Path(__file__).parent.parent / "configs"
SECONDS = 8.0
"""Duration of each measurement."""
REPEATS, EVALUATIONS = 50, 5
"""How often the products of a training step and of an evaluation are made alone."""


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


class Network(NamedTuple):
    """What a batch is made of.

    Args:
        name: what to call it.
        config: its configuration.
        steps: steps of the single run.
        every: steps between evaluations.
        architecture: its class, if it is not the configuration's.
        layers: inputs and outputs of its layers, if it has no others.
    """

    name: str
    config: str
    steps: int
    every: int
    architecture: str | None = None
    layers: tuple[tuple[int, int], ...] = ()


NETWORKS = (
    Network("small transformer", "transformer_modular_addition_small.yaml", 400, 100),
    Network("perceptron on MNIST", "mnist_grok.yaml", 1000, 500, layers=((784, 200), (200, 200), (200, 10))),
    Network(
        "small convolutional network on MNIST", "mnist_grok.yaml", 400, 100, "benchmark_batches.ConvolutionalNetwork"
    ),
)


def batches(time_grok: Callable[..., float], repeats: int) -> list[tuple[str, str, str]]:
    """Measure, and return rows of quantity, result and target."""
    rows = []
    for network in NETWORKS:
        options = ["--trainer.callbacks=PhaseTracker", f"--trainer.callbacks.every_n_steps={network.every}"]
        options += [f"--model.architecture={network.architecture}"] if network.architecture else []
        rounds = []
        for _ in range(repeats):
            on_one_core, products = on_all_cores(partial(_measure, network))
            member = on_one_core / cores()
            alone = time_grok(network.config, network.steps, *options)
            rounds.append((member, member / alone, products / on_one_core))
        ms, ratio, share = (statistics.median(column) for column in zip(*rounds, strict=True))
        step = f"{network.name}: {1e3 * ms:.2f} ms a member-step"
        rows.append((f"{step}, over a step of grok fit", f"{ratio:.2f}", "at most 1.0"))
        if network.layers:
            rows.append((f"{network.name}: fraction of its products' rate", f"{share:.0%}", "at least 60 %"))
    return rows


def _measure(network: Network, barrier: Any, results: Any) -> None:
    """Seconds on one core for a member-step, evaluations included, and for its products, where these are known."""
    torch.set_num_threads(1)
    builder = MemberBuilder()
    settings = yaml.safe_load((CONFIGS / network.config).read_text())
    if network.architecture:
        set_value(settings, "model.architecture", network.architecture)
    settings = builder.complete({section: settings[section] for section in ("model", "data")})
    template = builder.build(0, settings, 0)
    places = places_for(template, "cpu")
    criteria = PhaseCriteria(every_n_steps=network.every)
    batch = Batch(template, places, criteria, 10**6, compiled=True, shared_samples=True, stop_when_decided=False)
    for index in range(places):
        batch.put(builder.build(index, settings, 0))
    batch.advance(network.every + 1)
    barrier.wait()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        batch.advance(network.every)
        steps += network.every
    seconds = (time.perf_counter() - start) / steps / places
    barrier.wait()
    training = seconds_of_training(places, network.layers, template.batch_size, REPEATS, of_data=True)
    evaluation = seconds_of_outputs(places, network.layers, sum(template.set_sizes), EVALUATIONS) / network.every
    results.put((seconds, training + evaluation))
