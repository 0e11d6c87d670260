"""The comparison of ``benchmark.py diagram --against``: figure 6a by this package, and by plain JAX or PyTorch.

Both train the same members from the same weights: the full batch, Adam with each member's own learning rates (figure
6a has no weight decay), and both accuracies at every step. Their losses afterwards must be equal up to rounding.
"""

import contextlib
import itertools
import math
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from all_cores import cores
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from grokking_pl.experiments import set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import Member, MemberBuilder
from grokking_pl.population.places import places_for
from grokking_pl.population.samples import samples_of
from grokking_pl.training import GroupOptions

CONFIG = Path(__file__).parent.parent / "configs/toy_addition.yaml"
SEED = 58
RATES = [10 ** (i / 4 - 5) for i in range(13)]
"""Learning rates of figure 6a, on both axes."""
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
MEMBERS = (8, 16, 32, 110)
STEPS = 100
"""Steps of every member, from its initial weights."""
MEMBER_STEPS = 22_000
"""Least number of member-steps per measurement."""
TOLERANCE = 1e-4
"""Largest relative difference of two losses that counts as rounding."""

Weights = dict[str, Tensor]
"""Weights by name, of one member or of all, stacked."""
Train = Callable[[], tuple[Weights, Int[Tensor, "members 2"]]]
"""Trains all members from their initial weights. Returns their weights, and the numbers of correct training and
validation samples before the last update."""


def compare(
    rival: str,
    repeats: int,
    members: Sequence[int] = MEMBERS,
    steps: int = STEPS,
    member_steps: int = MEMBER_STEPS,
    compiled: bool = True,
) -> Iterator[tuple[str, str, str, str]]:
    """Measure both alternately; yield rows of members, ms of all cores per member-step (ours, theirs), and the ratio.

    Args:
        rival: a name in `RIVALS`.
        repeats: number of measurements, of which the median is returned.
        members: numbers of members.
        steps: steps of every member, from its initial weights.
        member_steps: least number of member-steps per measurement.
        compiled: whether this package compiles its step.

    Raises:
        SystemExit: the rival does not do the same work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(cores())
    workers = Workers(steps, compiled)
    try:
        for count in members:
            problem = Problem(toys(count))
            train = RIVALS[rival](problem, steps)
            _, ours = workers.train(count)  # compiles, as does the rival's first run
            check_equal(ours, problem.results(*train()), rival, steps)
            laps = math.ceil(member_steps / (steps * count))
            to_ms = 1e3 / (laps * steps * count)
            rounds = [(workers.train(count, laps)[0] * to_ms, seconds_of(train, laps) * to_ms) for _ in range(repeats)]
            own, other = (statistics.median(times) for times in zip(*rounds, strict=True))
            ratio = statistics.median(theirs / ours for ours, theirs in rounds)
            yield str(count), f"{own:.3f}", f"{other:.3f}", f"{ratio:.2f}"
    finally:
        workers.close()
        torch.set_num_threads(threads)


def name_of(rival: str) -> str:
    """The name and version of a rival.

    Raises:
        SystemExit: it is not installed.
    """
    try:
        version = import_module(rival).__version__
    except ImportError as error:
        sys.exit(f"JAX cannot be imported ({error}): pip install 'grokking_pl[bench]'")
    return f"{'JAX' if rival == 'jax' else 'PyTorch'} {version}"


def seconds_of(train: Train, laps: int) -> float:
    """Seconds to train all members ``laps`` times."""
    start = time.perf_counter()
    for _ in range(laps):
        train()
    return time.perf_counter() - start


# What is trained, and what must come of it.


@cache
def toys(count: int) -> tuple[Member, ...]:
    """Members from cells of figure 6a, spread over its grid."""
    builder = MemberBuilder()
    settings = builder.complete(yaml.safe_load(CONFIG.read_text()))
    cells = list(itertools.product(RATES, RATES))
    members = []
    for index in range(count):
        of_embeddings, of_decoder = cells[index * len(cells) // count]
        set_value(settings, "model.embeddings.lr", of_embeddings)
        set_value(settings, "model.decoder.lr", of_decoder)
        members.append(builder.build(index, settings, SEED))
    return tuple(members)


class Results(NamedTuple):
    """What training led to.

    Attributes:
        losses: training loss of every member.
        correct: its numbers of correct training and validation samples before the last update.
    """

    losses: Float[Tensor, " members"]
    correct: Int[Tensor, "members 2"]


class Problem:
    """What members have in common, and their learning rates.

    Args:
        members: members with the same samples and initial weights.

    Attributes:
        network: the network, with the initial weights.
        rates: learning rates of the embeddings and of the decoder.
        pairs: inputs, those of the training samples first.
        targets: target vector of each sample.
        labels: class of each sample.
        vectors: target vector of each class.
        train: number of training samples.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        data = members[0].data
        assert data.class_targets is not None
        self.network = members[0].module.network
        self.rates: Float[Tensor, "members 2"] = torch.tensor([rates_of(member) for member in members])
        self.pairs, self.targets, self.labels, *_ = samples_of(data, torch.device("cpu"))
        self.vectors: Float[Tensor, "classes outputs"] = data.class_targets
        self.train = data.num_train

    def results(self, weights: Weights, correct: Int[Tensor, "members 2"]) -> Results:
        """The results of members with these weights after training."""
        pairs, targets = self.pairs[: self.train], self.targets[: self.train]
        with torch.no_grad():
            losses = vmap(lambda own: F.mse_loss(functional_call(self.network, own, (pairs,)), targets))(weights)
        return Results(losses, correct)


def rates_of(member: Member) -> list[float]:
    """The learning rates of a member's embeddings and decoder."""
    groups = [member.optimization[name] for name in ("embeddings", "decoder")]
    return [group.lr for group in groups if isinstance(group, GroupOptions)]


def check_equal(ours: Results, theirs: Results, rival: str, steps: int) -> None:
    """Exit if losses differ by more than rounding, or a number of correct samples by more than one."""
    loss = float(((theirs.losses - ours.losses) / ours.losses).abs().max())
    correct = int((theirs.correct - ours.correct).abs().max())
    if not loss <= TOLERANCE or correct > 1:
        sys.exit(
            f"{rival} does not do the same work: after {steps} steps of {len(ours.losses)} members, losses differ by a "
            f"fraction of up to {loss:.2g}, and numbers of correct samples by up to {correct}"
        )


# This package.


class Batches:
    """Trains members in batches of as many as ``grok diagram`` trains at a time.

    Args:
        steps: steps of every member.
        compiled: whether to compile the step.
    """

    def __init__(self, steps: int, compiled: bool) -> None:
        self._steps = steps
        self._compiled = compiled
        self._batches: dict[int, Batch] = {}

    def train(self, members: Sequence[Member]) -> tuple[float, Results]:
        """Train members from their initial weights; return the seconds that the steps took, and the results."""
        seconds = 0.0
        results = [Results(torch.zeros(0), torch.zeros(0, 2, dtype=torch.int64))]
        places = places_for(members[0], "cpu") if members else 1
        for start in range(0, len(members), places):
            part = members[start : start + places]
            batch = self._batch(part[0], max(2, len(part)))
            for member in part:
                batch.put(member)
            began = time.perf_counter()
            batch.advance(self._steps)
            seconds += time.perf_counter() - began
            states = [batch.state_of(place) for place in range(len(part))]
            weights = {
                name: torch.stack([state["parameters"][f"network.{name}"] for state in states])
                for name, _ in part[0].module.network.named_parameters()
            }
            correct = torch.tensor([state["tracking"]["final"] for state in states])
            results.append(Problem(part).results(weights, correct))
            batch.take_decided()
        losses, counts = (torch.cat(column) for column in zip(*results, strict=True))
        return seconds, Results(losses, counts)

    def _batch(self, template: Member, places: int) -> Batch:
        """An empty batch whose members end after the last step."""
        if places not in self._batches:
            # Nobody reaches these thresholds so early, so the numbers of correct samples are those of the last step.
            criteria = PhaseCriteria(train_threshold=1, val_threshold=1)
            self._batches[places] = Batch(
                template, places, criteria, self._steps - 1, compiled=self._compiled, shared_samples=True
            )
        return self._batches[places]


class Workers:
    """Processes that train members as those of ``grok diagram``: one per core, with one thread and an equal share.

    Args:
        steps: steps of every member.
        compiled: whether to compile the step.
    """

    def __init__(self, steps: int, compiled: bool) -> None:
        context = get_context("spawn")
        self._pipes = []
        self._processes = []
        for rank in range(cores()):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, rank, cores(), steps, compiled), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def train(self, count: int, laps: int = 1) -> tuple[float, Results]:
        """Train the `toys` ``laps`` times; return the seconds of the slowest process, and the results."""
        for pipe in self._pipes:
            pipe.send((count, laps))
        answers = [pipe.recv() for pipe in self._pipes]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        losses, correct = torch.zeros(count), torch.zeros(count, 2, dtype=torch.int64)
        for rank, (_, own_losses, own_correct) in enumerate(answers):
            losses[rank :: len(answers)] = torch.from_numpy(own_losses)
            correct[rank :: len(answers)] = torch.from_numpy(own_correct)
        return max(seconds for seconds, *_ in answers), Results(losses, correct)

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(10)


def _work(pipe: Any, rank: int, workers: int, steps: int, compiled: bool) -> None:
    """Train this process's share of the members whenever asked, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one handles it
    torch.set_num_threads(1)
    batches = Batches(steps, compiled)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            count, laps = pipe.recv()
            try:
                share = toys(count)[rank::workers]
                runs = [batches.train(share) for _ in range(laps)]
                losses, correct = runs[-1][1]
                pipe.send((sum(seconds for seconds, _ in runs), losses.numpy(), correct.numpy()))
            except Exception as error:
                pipe.send(error)


# The rivals.


def with_torch(problem: Problem, steps: int) -> Train:
    """The loop in plain PyTorch: ``vmap`` of ``grad`` without compiling, and Adam on the stacked weights."""
    members, train = len(problem.rates), problem.train
    half_norms = problem.vectors.square().sum(1) / 2
    initial = {name: value.detach() for name, value in problem.network.named_parameters()}
    rates = {
        name: problem.rates[:, 0 if name == "embeddings" else 1].view(-1, *[1] * value.dim())
        for name, value in initial.items()
    }

    def loss_of_one(weights: Weights) -> tuple[Tensor, Tensor]:
        outputs = functional_call(problem.network, weights, (problem.pairs,))
        nearest = (half_norms - outputs.detach() @ problem.vectors.T).argmin(1)
        right = nearest == problem.labels
        loss = F.mse_loss(outputs[:train], problem.targets[:train])
        return loss, torch.stack([right[:train].sum(), right[train:].sum()])

    gradients_of_all = vmap(grad(loss_of_one, has_aux=True))

    def run() -> tuple[Weights, Int[Tensor, "members 2"]]:
        weights = {name: value.repeat(members, *[1] * value.dim()) for name, value in initial.items()}
        first, second = ({name: torch.zeros_like(value) for name, value in weights.items()} for _ in range(2))
        correct = torch.zeros(members, 2, dtype=torch.int64)
        for step in range(1, steps + 1):
            gradients, correct = gradients_of_all(weights)
            for name, gradient in gradients.items():
                first[name].lerp_(gradient, 1 - BETA1)
                second[name].mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
                root = (second[name] / (1 - BETA2**step)).sqrt_().add_(EPS)
                weights[name] -= (first[name] / root).mul_(rates[name] / (1 - BETA1**step))
        return weights, correct

    return run


def with_jax(problem: Problem, steps: int) -> Train:
    """The loop in plain JAX: ``scan`` over the steps of one member, ``vmap`` over members, and ``jit``."""
    jax = import_module("jax")
    jnp, tree = jax.numpy, jax.tree
    jax.config.update("jax_platforms", "cpu")
    train = problem.train
    pairs, targets, labels, vectors, rates_of_all = (
        jnp.asarray(value.numpy())
        for value in (problem.pairs, problem.targets, problem.labels, problem.vectors, problem.rates)
    )
    initial = {name: jnp.asarray(value.detach().numpy()) for name, value in problem.network.named_parameters()}
    layers = sorted({name.rpartition(".")[0] for name in initial if name != "embeddings"})
    half_norms = (vectors**2).sum(1) / 2

    def loss_of_one(weights: Any) -> Any:
        hidden = weights["embeddings"][pairs].sum(1)
        for layer in layers:
            outputs = hidden @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
            hidden = jnp.tanh(outputs)
        right = (half_norms - outputs @ vectors.T).argmin(1) == labels
        loss = ((outputs[:train] - targets[:train]) ** 2).mean()
        return loss, jnp.stack([right[:train].sum(), right[train:].sum()])

    def train_one(rates: Any) -> Any:
        rate_of = {name: rates[0 if name == "embeddings" else 1] for name in initial}

        def update(state: Any, step: Any) -> Any:
            def move(weight: Any, mean: Any, square: Any, rate: Any) -> Any:
                return weight - rate * mean / (1 - BETA1**step) / (jnp.sqrt(square / (1 - BETA2**step)) + EPS)

            weights, first, second = state
            gradients, correct = jax.grad(loss_of_one, has_aux=True)(weights)
            first = tree.map(lambda mean, gradient: BETA1 * mean + (1 - BETA1) * gradient, first, gradients)
            second = tree.map(lambda square, gradient: BETA2 * square + (1 - BETA2) * gradient**2, second, gradients)
            return (tree.map(move, weights, first, second, rate_of), first, second), correct

        zeros = tree.map(jnp.zeros_like, initial)
        (weights, *_), correct = jax.lax.scan(update, (initial, zeros, zeros), jnp.arange(1, steps + 1))
        return weights, correct[-1]

    train_all = jax.jit(jax.vmap(train_one))

    def run() -> tuple[Weights, Int[Tensor, "members 2"]]:
        weights, correct = jax.block_until_ready(train_all(rates_of_all))
        return {name: to_torch(value) for name, value in weights.items()}, to_torch(correct).long()

    def to_torch(value: Any) -> Tensor:
        return torch.from_numpy(np.array(value))

    return run


RIVALS: dict[str, Callable[[Problem, int], Train]] = {"jax": with_jax, "torch": with_torch}
