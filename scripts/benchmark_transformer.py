"""The section on transformers of ``benchmark.py``: one step against PyTorch's encoder layers, a run, and the tables."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grokking_pl.data import AlgorithmicDataModule, EquationDataModule, TensorDataModule
from grokking_pl.models import Transformer
from grokking_pl.sizes import Sizes
from grokking_pl.tasks import OPERATORS, equations, modular_addition
from grokking_pl.tasks.equations import LISTS

REPEATS = 25
BURN_IN = 5


class TorchTransformer(nn.Module):
    """The same network in plain PyTorch, with ``torch.nn.TransformerEncoderLayer`` and an explicit mask."""

    def __init__(self, sizes: Sizes, layers: int, heads: int, width: int, norm: str, bias: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(sizes.tokens or sizes.symbols, width)
        self.positions = nn.Embedding(sizes.inputs, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=norm == "before", bias=bias
        )
        final = nn.LayerNorm(width) if norm == "before" else None
        self.encoder = nn.TransformerEncoder(layer, layers, final, enable_nested_tensor=False)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(sizes.inputs))
        self.answers = sizes.answers
        self.classifier = nn.Linear(width * (1 if sizes.answers else sizes.inputs), sizes.outputs, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of the sample's class, or of the tokens of its answer."""
        stream = self.encoder(self.tokens(inputs) + self.positions.weight, self.mask)
        logits: Tensor = self.classifier(stream[:, -self.answers :] if self.answers else stream.flatten(1))
        return logits


def stepper(network: nn.Module, inputs: Tensor, targets: Tensor) -> Callable[[], None]:
    """One training step of a bare loop."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1.0, fused=True)

    def step() -> None:
        outputs = network(inputs)
        loss = F.cross_entropy(outputs.flatten(0, -2), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


class PublishedTransformer(nn.Module):
    """The network of figures 1 and 7, made of PyTorch's encoder layers."""

    def __init__(self, p: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(p, 256)
        self.layers = nn.Sequential(
            *(nn.TransformerEncoderLayer(256, 1, 128, 0.05, batch_first=True, norm_first=True) for _ in range(2))
        )
        self.classifier = nn.Linear(512, p)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of the sum."""
        logits: Tensor = self.classifier(self.layers(self.tokens(inputs)).flatten(1))
        return logits


def networks(sizes: Sizes, layers: int, width: int, norm: str, bias: bool) -> tuple[nn.Module, nn.Module]:
    """Our network, and the same made of PyTorch's layers."""
    ours = Transformer(
        sizes, layers=layers, width=width, norm="before" if norm == "before" else "after",
        readout="last" if sizes.answers else "concatenate", bias="all" if bias else "none",
    )  # fmt: skip
    return ours, TorchTransformer(sizes, layers, 4, width, norm, bias)


def published_networks(sizes: Sizes) -> tuple[nn.Module, nn.Module]:
    """The network of figures 1 and 7, ours and made of PyTorch's layers."""
    ours = Transformer(
        sizes, layers=2, heads=1, width=256, mlp_ratio=0.5, norm="before", final_norm=False, causal=False,
        positions="none", initialisation="encoder_layer", dropout=0.05, attention_dropout=0.05, mlp_dropout=0.05,
    )  # fmt: skip
    return ours, PublishedTransformer(sizes.symbols)


def step_ratio(
    data: TensorDataModule, batch: int, make: Callable[..., tuple[nn.Module, nn.Module]], *options: Any
) -> list[float]:
    """The median ratio of our step to PyTorch's, measured alternately, and our median step in milliseconds."""
    data.setup()
    inputs, targets = data.inputs[:batch], data.targets[:batch]
    torch.manual_seed(0)
    steps = [stepper(network, inputs, targets) for network in make(data.sizes, *options)]
    times: list[list[float]] = [[], []]
    for number in range(BURN_IN + REPEATS):
        for step, step_times in zip(steps, times, strict=True):
            start = time.perf_counter()
            step()
            if number >= BURN_IN:
                step_times.append(time.perf_counter() - start)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(*times, strict=True))
    return [ratio, statistics.median(times[0]) * 1e3]


def bare_run(steps: int, warm_up: int) -> float:
    """Seconds per step of a bare loop with the updates and evaluations of transformer_modular_addition_small.yaml."""
    data = AlgorithmicDataModule(task=modular_addition(31), train_fraction=0.8, targets="class")
    data.setup()
    inputs, targets = data.train_set
    torch.manual_seed(0)
    network = Transformer(data.sizes, layers=1, heads=4, width=64, norm="none", embedding_scale=0.5)
    step = stepper(network, inputs, targets)
    start = 0.0
    for number in range(steps):
        if number == warm_up:
            start = time.perf_counter()
        step()
        if (number + 1) % 50 == 0:
            with torch.no_grad():
                correct = torch.cat([network(chunk).argmax(1) for chunk in data.inputs.split(2048)]) == data.targets
                correct[: data.num_train].float().mean().item(), correct[data.num_train :].float().mean().item()
    return (time.perf_counter() - start) / (steps - warm_up)


def tables() -> float:
    """Seconds for all equations of Power et al.: 17 binary operators, and lists of two numbers."""
    start = time.perf_counter()
    for operator in OPERATORS:
        equations(operator, operand_length=2 if operator in LISTS else None)
    return time.perf_counter() - start


def transformer(time_grok: Callable[..., float], warm_up: int, repeats: int) -> list[tuple[str, str, str]]:
    """Measure, and return rows of quantity, result and target."""
    pairs = AlgorithmicDataModule(task=modular_addition(53), train_fraction=0.7, targets="class", seed=0)
    figure1 = AlgorithmicDataModule(task=modular_addition(59), train_fraction=0.8, targets="class", seed=1)
    rows = []
    for name, numbers in (
        ("the published one, p = 59, 2 layers, width 256, 2785 samples", (figure1, 2785, published_networks)),
        ("pairs, p = 53, 1 layer, width 128, 1966 samples", (pairs, 1966, networks, 1, 128, "before", True)),
        ("pairs, p = 53, 2 layers, width 256, 1966 samples", (pairs, 1966, networks, 2, 256, "before", True)),
        ("equations, 2 layers, width 128, 512 samples", (EquationDataModule(), 512, networks, 2, 128, "after", False)),
    ):
        ratio, ms = step_ratio(*numbers)
        rows.append((f"{name}: {ms:.0f} ms a step, over torch's layers", f"{ratio:.2f}", "at most 1.0"))
    steps = warm_up + 400
    rounds = [
        (
            time_grok("transformer_modular_addition_small.yaml", steps, "--trainer.callbacks=PhaseTracker",
                      "--trainer.callbacks.every_n_steps=50"),
            bare_run(steps, warm_up),
        )
        for _ in range(repeats)
    ]  # fmt: skip
    ratio = statistics.median(ours / bare for ours, bare in rounds)
    rows.append(("grok fit of the small transformer over a bare loop", f"{ratio:.2f}", "at most 1.15"))
    rows.append(("all tables of Power et al., seconds", f"{tables():.2f}", "under 5"))
    return rows
