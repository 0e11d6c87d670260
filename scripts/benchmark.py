"""Speed as ratios within one run: each section pairs this framework with a bare PyTorch loop that does the same.

python scripts/benchmark.py             all sections
python scripts/benchmark.py mnist toy   some of them
"""

import argparse
import contextlib
import io
import itertools
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from grokking_pl.cli import main as grok
from grokking_pl.data import AlgorithmicDataModule, MNISTDataModule
from grokking_pl.metrics import Representation, rqi
from grokking_pl.tasks import addition, from_operation

ROOT = Path(__file__).parent.parent
WARM_UP = 200
REPEATS = 3

Row = tuple[str, str, str]
"""What was measured, the figure, and the aim."""


class StepTimer(pl.Callback):
    """Seconds of a step, the first ones left out."""

    seconds_per_step = 0.0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """Start the clock after the warm-up."""
        if trainer.global_step == WARM_UP:
            self._start = time.perf_counter()

    def on_train_end(self, trainer, pl_module):
        """Stop it."""
        StepTimer.seconds_per_step = (time.perf_counter() - self._start) / (trainer.global_step - WARM_UP)


def time_grok(config: str, steps: int, *options: str) -> float:
    """Seconds of a step of `grok fit`, everything on as configured."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            grok(["fit", "--config", str(ROOT / "configs" / config), "--run_dir", f"{folder}/run",
                  f"--trainer.max_steps={steps}", *options, "--trainer.callbacks+=benchmark.StepTimer"])  # fmt: skip
    return sys.modules["benchmark"].StepTimer.seconds_per_step


def perceptron(*widths: int, activation: type[nn.Module], scale: float = 1.0) -> nn.Sequential:
    """A perceptron as anyone would write it."""
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(widths):
        layers += [nn.Linear(i, o), activation()]
    network = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    return network


def bare_mnist(steps: int, fused: bool) -> float:
    """Seconds of a step of a bare loop: the updates and the evaluations of configs/mnist_grok.yaml."""
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
    """Seconds of a step of a bare loop on 45 samples, with one thread, as `grok fit` has for so small a network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = AlgorithmicDataModule(task=addition(10), train_count=45, split_rng="numpy_legacy", seed=58)
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
    """Medians of ours over each bare time, measured in turn."""
    rounds = [[each() for each in (ours, *bare)] for _ in range(REPEATS)]
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


def memory() -> list[Row]:
    """Peak memory of the main job."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "grokking_pl.cli", "fit", "--config", "configs/mnist_grok.yaml",
             "--trainer.max_steps=300", "--run_dir", f"{folder}/run"], cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    return [("peak memory of the MNIST main job, GB", f"{peak:.2f}", "under 1.2")]


def help_pages() -> list[Row]:
    """Seconds until help is there."""
    rows = []
    for words, aim in ((("--help",), "under 2"), (("fit", "--help"), "under 6")):
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "grokking_pl.cli", *words], cwd=ROOT, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
        rows.append((f"grok {' '.join(words)}, seconds", f"{statistics.median(times):.2f}", aim))
    return rows


SECTIONS: dict[str, Callable[[], list[Row]]] = {
    "mnist": mnist,
    "small": small,
    "toy": toy,
    "metrics": metrics,
    "memory": memory,
    "help": help_pages,
}


def main() -> None:
    """Measure the sections asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; default all")
    chosen = parser.parse_args().sections or list(SECTIONS)
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}: choose from {', '.join(SECTIONS)}")
    sys.path.insert(0, str(Path(__file__).parent))
    table = Table("measured", "figure", "aim", title=f"medians of {REPEATS}, {torch.get_num_threads()} threads")
    for name in chosen:
        for row in SECTIONS[name]():
            table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
