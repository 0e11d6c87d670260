"""The section ``roofline`` of ``benchmark.py``: what bounds a member-step of figure 6a, each part at its own rate.

A step consists of matrix products, which are bound by arithmetic, the update, which is bound by memory, and the
activations. Each is measured alone, on all cores at once, with the shapes that a full batch has.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from all_cores import cores, on_all_cores
from torch import Tensor
from toy_batches import ToyBatches

from grokking_pl.population.adam import adam_step
from grokking_pl.population.fast_tanh import FastTanh
from grokking_pl.population.update_rule import COEFFICIENTS

TRAIN, VAL, WIDTH, OUTPUTS = 45, 10, 200, 30
"""Samples and layers of figure 6a."""
STEPS = 200
REPEATS = 5
ARRAYS_MOVED = 7
"""The update reads the weights, gradients and both moments, and writes all but the gradients."""


def roofline() -> list[tuple[str, str, str]]:
    """Measure, and return rows of quantity, result and target."""
    # Milliseconds on one core, from those of all cores at once.
    step, products, update, activations, weights = on_all_cores(_work)
    flops = (6 * TRAIN + 2 * VAL) * (WIDTH * WIDTH + WIDTH * OUTPUTS)
    moved = ARRAYS_MOVED * 4 * weights
    bound = products + update + activations

    def row(name: str, ms: float, work: float = 0, unit: str = "") -> tuple[str, str, str]:
        rate = f" ({work / ms / 1e6:.0f} {unit}/s per core)" if work else ""
        return f"{name}, ms of all cores", f"{ms / cores():.3f}{rate}", ""

    return [
        row("member-step of figure 6a", step),
        row(f"its products alone, {flops / 1e6:.1f} MFLOP", products, flops, "GFLOP"),
        row(f"its update alone, {moved / 1e6:.2f} MB", update, moved, "GB"),
        row("its activations alone", activations),
        ("the three together, as a fraction of the member-step", f"{bound / step:.0%}", ""),
    ]


def batched_products(members: int, repeats: int = 100) -> float:
    """Seconds per member for a step's products: 6 FLOP per weight and training sample, 2 per validation sample."""
    layers = ((WIDTH, WIDTH), (WIDTH, OUTPUTS))
    return seconds_of_training(members, layers, TRAIN, repeats) + seconds_of_outputs(members, layers, VAL, repeats)


def seconds_of_training(
    members: int, layers: Sequence[tuple[int, int]], samples: int, repeats: int, of_data: bool = False
) -> float:
    """Seconds per member for the products of a training step, forward and backward.

    Args:
        members: members of the batch.
        layers: inputs and outputs of each layer.
        samples: samples of each member's batch.
        repeats: how often each product is made.
        of_data: whether the first layer's inputs are the data, which need no gradient.
    """
    seconds = seconds_of_outputs(members, layers, samples, repeats)
    for number, (inputs, outputs) in enumerate(layers):
        x, y = torch.randn(members, samples, inputs), torch.randn(members, samples, outputs)
        weight = torch.randn(members, outputs, inputs)
        for left, right in ((y.mT, x), (y, weight))[: 1 if of_data and number == 0 else 2]:
            seconds += seconds_of_product(left, right, repeats)
    return seconds


def seconds_of_outputs(members: int, layers: Sequence[tuple[int, int]], samples: int, repeats: int) -> float:
    """Seconds per member for the products of layers, forward only."""
    return sum(
        seconds_of_product(torch.randn(members, samples, inputs), torch.randn(members, outputs, inputs).mT, repeats)
        for inputs, outputs in layers
    )


def seconds_of_product(left: Tensor, right: Tensor, repeats: int) -> float:
    """The mean seconds per member of one batched product."""
    torch.bmm(left, right)
    return seconds_of(lambda: torch.bmm(left, right), repeats) / len(left)


def seconds_of(call: Callable[[], Any], repeats: int) -> float:
    """The mean seconds of a call."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def _work(barrier: Any, results: Any) -> None:
    """Milliseconds per member of a step, its products, its update and its activations, and the number of weights."""
    torch.set_num_threads(1)
    batch = ToyBatches().full()
    members = len(batch.members)
    update, activations = _update_of(batch.state.parameters), _activations_of(members)
    parts: list[Callable[[], float]] = [
        lambda: seconds_of(lambda: batch.advance(STEPS), 1) / STEPS / members,
        lambda: batched_products(members),
        lambda: seconds_of(update, STEPS) / members,
        lambda: seconds_of(activations, STEPS) / members,
    ]
    seconds = []
    for part in parts:
        part()
        rounds = []
        for _ in range(REPEATS):
            barrier.wait()
            rounds.append(part())
        seconds.append(1e3 * statistics.median(rounds))
    results.put((*seconds, sum(value[0].numel() for value in batch.state.parameters.values())))


def _update_of(weights: dict[str, Tensor]) -> Callable[[], Any]:
    """The update alone, of weights like these."""
    stacks = [[torch.rand_like(value) for _ in range(4)] for value in weights.values()]
    coefficients = torch.rand(len(stacks[0][0]), COEFFICIENTS) * 1e-3

    def update(stacks: list[list[Tensor]], coefficients: Tensor) -> None:
        for parameter, gradient, first, second in stacks:
            adam_step(parameter, gradient, first, second, coefficients)

    compiled = torch.compile(update, dynamic=False)
    compiled(stacks, coefficients)
    return lambda: compiled(stacks, coefficients)


def _activations_of(members: int) -> Callable[[], Any]:
    """The activations alone, forward and backward, of both hidden layers."""
    before, after = torch.randn(2, members, TRAIN + VAL, WIDTH), torch.randn(2, members, TRAIN + VAL, WIDTH)
    bias, tanh = torch.randn(2, members, 1, WIDTH), FastTanh()

    def activate(before: Tensor, bias: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = tanh(before + bias)
        backward = after * (1 - values * values)
        return values, backward, backward.sum(-2)

    compiled = torch.compile(activate, dynamic=False)
    compiled(before, bias, after)
    return lambda: compiled(before, bias, after)
