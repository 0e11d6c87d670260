"""Speed relative to a bare PyTorch loop that does the same, measured in the same run.

python scripts/benchmark.py             all sections
python scripts/benchmark.py mnist toy   some of them
python scripts/benchmark.py diagram --against jax   compared with plain JAX, or --against torch
"""

import argparse
import contextlib
import io
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from all_cores import cores, on_all_cores
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from grokking_pl.commands.main import main as grok
from grokking_pl.data import AlgorithmicDataModule, MNISTDataModule
from grokking_pl.metrics import Representation, rqi
from grokking_pl.tasks import addition, from_operation

ROOT = Path(__file__).parent.parent
WARM_UP = 200
REPEATS = 3

Row = tuple[str, str, str]
"""Quantity measured, result, and target."""


class StepTimer(pl.Callback):
    """Measures seconds per step, without the first steps."""

    seconds_per_step = 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock after the warm-up."""
        if trainer.global_step == WARM_UP:
            self._start = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        StepTimer.seconds_per_step = (time.perf_counter() - self._start) / (trainer.global_step - WARM_UP)


def time_grok(config: str, steps: int, *options: str) -> float:
    """Seconds per step of `grok fit`, with everything on as configured."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            grok(["fit", "--config", str(ROOT / "configs" / config), "--run_dir", f"{folder}/run",
                  f"--trainer.max_steps={steps}", *options, "--trainer.callbacks+=benchmark.StepTimer"])  # fmt: skip
    return float(sys.modules["benchmark"].StepTimer.seconds_per_step)


def perceptron(*widths: int, activation: type[nn.Module], scale: float = 1.0) -> nn.Sequential:
    """A perceptron in plain PyTorch."""
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(widths):
        layers += [nn.Linear(i, o), activation()]
    network = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    return network


def bare_mnist(steps: int, fused: bool) -> float:
    """Seconds per step of a bare loop with the updates and evaluations of configs/mnist_grok.yaml."""
    data = MNISTDataModule()
    data.setup()
    inputs, targets = data.train_set
    labels = data.targets.argmax(1)
    torch.manual_seed(0)
    network = perceptron(784, 200, 200, 10, activation=nn.ReLU, scale=8)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.1, fused=fused)
    step, start = 0, 0.0
    while step < steps:
        for index in torch.randperm(1000).split(200):
            if step == WARM_UP:
                start = time.perf_counter()
            loss = F.mse_loss(network(inputs[index]), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % 100 == 0:
                with torch.no_grad():
                    correct = torch.cat([network(chunk).argmax(1) for chunk in data.inputs.split(2048)]) == labels
                    correct[:1000].float().mean().item(), correct[1000:].float().mean().item(), loss.item()
    return (time.perf_counter() - start) / (steps - WARM_UP)


def bare_toy(steps: int, fused: bool, evaluate_every: int | None = None) -> float:
    """Seconds per step of a bare loop on 45 samples, with one thread, as `grok fit` uses for such a small network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = AlgorithmicDataModule(task=addition(10), train_count=45, split="published", seed=58)
    data.setup()
    (left, right), targets = data.train_set[0].unbind(1), data.train_set[1]
    vectors = data.class_targets
    assert vectors is not None
    embeddings = nn.Parameter(torch.rand(10, 1) - 0.5)
    network = perceptron(1, 200, 200, 30, activation=nn.Tanh)
    optimizer = torch.optim.AdamW([embeddings, *network.parameters()], lr=1e-4, weight_decay=0, fused=fused)
    start = 0.0
    for step in range(steps):
        if step == WARM_UP:
            start = time.perf_counter()
        loss = F.mse_loss(network(embeddings[left] + embeddings[right]), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if evaluate_every and step % evaluate_every == 0:
            with torch.no_grad():
                output = network(embeddings[data.inputs[:, 0]] + embeddings[data.inputs[:, 1]])
                torch.cdist(output, vectors).argmin(1).sum().item()
    seconds = (time.perf_counter() - start) / (steps - WARM_UP)
    torch.set_num_threads(threads)
    return seconds


def paired(ours: Callable[[], float], *bare: Callable[[], float]) -> list[float]:
    """Medians of the ratios of our time to each bare time, measured alternately."""
    rounds = [[measure() for measure in (ours, *bare)] for _ in range(REPEATS)]
    return [statistics.median(times[0] / times[i] for times in rounds) for i in range(1, len(bare) + 1)] + [
        statistics.median(times[0] for times in rounds) * 1e3
    ]


def mnist() -> list[Row]:
    """The main job against the bare loop."""
    steps = 1200
    fused, plain, ms = paired(
        lambda: time_grok("mnist_grok.yaml", steps), lambda: bare_mnist(steps, True), lambda: bare_mnist(steps, False)
    )
    return [
        (f"MNIST main job, {ms:.2f} ms a step, over a bare loop with fused AdamW", f"{fused:.2f}", "at most 1.3"),
        ("the same over a bare loop with default AdamW", f"{plain:.2f}", ""),
    ]


def small() -> list[Row]:
    """A very small network, evaluated every 100 steps, against the bare loop."""
    steps = 3000
    fused, plain, ms = paired(
        lambda: time_grok(
            "toy_addition.yaml", steps, "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=100"
        ),
        lambda: bare_toy(steps, True, 100),
        lambda: bare_toy(steps, False, 100),
    )
    return [
        (
            f"45 samples, 1-200-200-30, {ms:.2f} ms a step, over a bare loop with fused AdamW",
            f"{fused:.2f}",
            "at most 1.6",
        ),
        ("the same over a bare loop with default AdamW", f"{plain:.2f}", ""),
    ]


def toy() -> list[Row]:
    """The toy with phase, RQI and predicted accuracy at every step, against a bare loop that only trains."""
    steps = 3000
    fused, plain, ms = paired(
        lambda: time_grok("toy_addition.yaml", steps), lambda: bare_toy(steps, True), lambda: bare_toy(steps, False)
    )
    return [
        (
            f"toy, all watched every step, {ms:.2f} ms, over a bare loop that only trains, fused",
            f"{fused:.2f}",
            "at most 2",
        ),
        ("the same over one with default AdamW", f"{plain:.2f}", ""),
    ]


def diagram() -> list[Row]:
    """Many members at once against one at a time, and against their bare matrix products."""
    ms, products, cost = on_all_cores(_diagram_worker)
    ms, products = ms / cores(), products / cores()
    single = statistics.median(bare_cell(600) for _ in range(REPEATS)) * 1e3
    return [
        ("member-step of figure 6a, both accuracies included, ms of all cores", f"{ms:.3f}", "0.15"),
        ("its matrix products alone, at the batched rate of this machine, ms of all cores", f"{products:.3f}", ""),
        ("fraction of that rate", f"{products / ms:.0%}", "at least 50 %"),
        ("one cell at a time in plain PyTorch, ms", f"{single:.2f}", ""),
        ("steps per second of a batch, relative to one cell at a time", f"{single / ms:.1f}", "at least 8"),
        ("cost of a member among 4096 over one among 32", f"{cost:.2f}", "0.8 to 1.2"),
    ]


def bare_cell(steps: int) -> float:
    """Seconds per step of a bare loop that trains one cell of figure 6a and evaluates both accuracies."""
    return bare_toy(steps, fused=False, evaluate_every=1)


def _diagram_worker(barrier: Any, results: Any) -> None:
    """Milliseconds on one core for a member-step and for its matrix products, and the growth of cost with members."""
    from benchmark_roofline import batched_products
    from toy_batches import ToyBatches

    torch.set_num_threads(1)
    toys = ToyBatches()
    steady, short = toys.full(), toys.empty(100)

    def cost_of(members: int) -> float:
        start = time.perf_counter()
        toys.train(short, members)
        return (time.perf_counter() - start) / members

    members, products = [], []
    for _ in range(5):
        barrier.wait()
        start = time.perf_counter()
        steady.advance(200)
        members.append((time.perf_counter() - start) / 200 / toys.places * 1e3)
        barrier.wait()
        products.append(batched_products(toys.places) * 1e3)
    cost_of(toys.places)  # compiles
    barrier.wait()
    few = statistics.median(cost_of(32) for _ in range(REPEATS))
    results.put((statistics.median(members), statistics.median(products), cost_of(4096) / few))


def roofline() -> list[Row]:
    """What bounds a member-step."""
    from benchmark_roofline import roofline

    return roofline()


def metrics() -> list[Row]:
    """RQI and operation tables, in seconds."""
    rows = []
    for p, d, aim in ((10, 1, "100 us"), (1000, 1, "1 s"), (1000, 256, "20 s")):
        table = addition(p)
        torch.manual_seed(0)
        representation = Representation(torch.randn(p, d))
        rqi(representation, table)
        times = []
        for _ in range(100 if p == 10 else 1):
            start = time.perf_counter()
            rqi(representation, table)
            times.append(time.perf_counter() - start)
        rows.append((f"RQI of p = {p}, d = {d}, seconds", f"{statistics.median(times):.2g}", f"under {aim}"))
    start = time.perf_counter()
    from_operation(torch.add, 5000)
    rows.append(("table of 5000 x 5000 pairs, seconds", f"{time.perf_counter() - start:.2g}", "under 3"))
    return rows


def transformer() -> list[Row]:
    """A transformer against one made of PyTorch's layers, and the tables of Power et al."""
    from benchmark_transformer import transformer

    return transformer(time_grok, WARM_UP, REPEATS)


def batches() -> list[Row]:
    """Batches of larger networks against one run at a time."""
    from benchmark_batches import batches

    return batches(time_grok, REPEATS)


def interventions() -> list[Row]:
    """The cost of interventions in a batch."""
    from benchmark_interventions import interventions

    return interventions(REPEATS)


def saturation() -> list[Row]:
    """The cost of saturated units in a batch."""
    from benchmark_saturation import saturation

    return saturation(REPEATS)


def memory() -> list[Row]:
    """Peak memory of whole commands."""
    from benchmark_commands import memory

    return memory()


def waiting() -> list[Row]:
    """Seconds until whole commands print or train."""
    from benchmark_commands import waiting

    return waiting(REPEATS)


def theory() -> list[Row]:
    """The effective theory against the published enumeration of parallelograms."""
    from benchmark_theory import theory

    return theory()


def rivalry(rival: str, name: str) -> Table:
    """The section on diagrams compared with a rival, with the name to print."""
    from benchmark_rivals import compare

    title = f"diagram: ms of all cores per member-step of figure 6a; medians of {REPEATS}"
    table = Table("members", "grokking_pl", name, f"{name} over grokking_pl", title=title, title_justify="left")
    for row in compare(rival, REPEATS):
        print(f"{row[0]} members: {row[1]} and {row[2]} ms", file=sys.stderr, flush=True)
        table.add_row(*row)
    return table


SECTIONS: dict[str, Callable[[], list[Row]]] = {
    "mnist": mnist,
    "small": small,
    "toy": toy,
    "diagram": diagram,
    "roofline": roofline,
    "batches": batches,
    "interventions": interventions,
    "saturation": saturation,
    "metrics": metrics,
    "theory": theory,
    "transformer": transformer,
    "memory": memory,
    "waiting": waiting,
}


def main() -> None:
    """Measure the requested sections and print a table of each as it completes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; default all")
    parser.add_argument(
        "--against", choices=("jax", "torch"), help="compare the section diagram with plain JAX or PyTorch"
    )
    options = parser.parse_args()
    chosen = options.sections or list(SECTIONS)
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown section {', '.join(unknown)}: choose from {', '.join(SECTIONS)}")
    if options.against and "diagram" not in chosen:
        parser.error("--against compares the section diagram, which is not among those given")
    sys.path.insert(0, str(Path(__file__).parent))
    rival = ""
    if options.against:
        from benchmark_rivals import name_of

        rival = name_of(options.against)  # before any work
    console = Console(width=110)
    for name in chosen:
        if name == "diagram" and rival:
            console.print(rivalry(options.against, rival))
            continue
        table = Table("measured", "figure", "aim", title=f"{name}: medians", title_justify="left")
        for row in SECTIONS[name]():
            table.add_row(*row)
        console.print(table)


if __name__ == "__main__":
    main()
