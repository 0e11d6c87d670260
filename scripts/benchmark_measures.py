"""The cost of measures, in seconds on one core and in training steps of the measured network.

python scripts/benchmark_measures.py    the transformer of Nanda et al. (2023), p = 113, a minute
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from rich.console import Console
from rich.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel

from grokking_pl.metrics import (
    Representation,
    decoder_rqi,
    excluded_loss,
    fourier_norms,
    gini,
    irrep_power,
    neuron_frequencies,
    pair_spectrum,
    restricted_loss,
    sharpness,
    tangent_kernel,
)
from grokking_pl.models import Transformer
from grokking_pl.sizes import Sizes
from grokking_pl.tasks import modular_addition, symmetric_group
from grokking_pl.training import PowerModule, local_complexity, pair_activations

P = 113
KEYS = [3, 6, 23, 35, 39]
EVERY = 100
"""Steps between measurements, for the printed fraction of a run."""


def seconds(function: Callable[[], object], repeats: int = 3) -> float:
    """The shortest CPU time of this thread, independent of other load."""
    function()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return min(times)


def main() -> None:
    torch.set_num_threads(1)
    architecture = partial(
        Transformer, layers=1, heads=4, width=128, norm="none", readout="last", equals=True, bias="mlp"
    )
    module = PowerModule(architecture)
    module.build(Sizes(inputs=2, outputs=P + 1, symbols=P), None)
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    generator = torch.Generator().manual_seed(0)
    inputs = pairs[torch.randperm(len(pairs), generator=generator)[: int(0.3 * len(pairs))]]
    targets = inputs.sum(1) % P
    train = torch.zeros(P, P, dtype=torch.bool)
    train[inputs[:, 0], inputs[:, 1]] = True
    optimizer = torch.optim.AdamW(module.network.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        module.compute_loss(module(inputs), targets).backward()
        optimizer.step()

    def curvature() -> float:
        with sdpa_kernel(SDPBackend.MATH):
            weights = list(module.network.parameters())
            return sharpness(lambda: module.compute_loss(module(inputs[:512]), targets[:512]), weights)

    found = pair_activations(module)
    neurons, logits = found["blocks.0.activation"][:, :, 0], found["outputs"]
    embeddings = module.representation.embeddings
    s5, elements = symmetric_group(5), torch.randn(120, 128, generator=generator)
    decoder = torch.nn.Sequential(torch.nn.Linear(2, 200), torch.nn.Tanh(), torch.nn.Linear(200, 59))
    circle = Representation(torch.randn(59, 2, generator=generator))

    def fourier_progress() -> None:
        given = pair_activations(module)
        neuron_frequencies(given["blocks.0.activation"][:, :, 0])
        pair_spectrum(given["outputs"])
        restricted_loss(given["outputs"], KEYS)
        excluded_loss(given["outputs"], KEYS, train)
        gini(fourier_norms(embeddings))

    measures: dict[str, Callable[[], object]] = {
        "all of FourierProgress": fourier_progress,
        "activations over all pairs": lambda: pair_activations(module),
        "frequencies of 512 neurons": lambda: neuron_frequencies(neurons),
        "spectrum of the outputs over both operands": lambda: pair_spectrum(logits),
        "restricted loss": lambda: restricted_loss(logits, KEYS),
        "excluded loss": lambda: excluded_loss(logits, KEYS, train),
        "norms by frequency, and their Gini coefficient": lambda: gini(fourier_norms(embeddings)),
        "tangent kernel, 32 pairs and 16 outputs": lambda: tangent_kernel(module.network, inputs[:32], range(0, P, 7)),
        "sharpness, 512 pairs": curvature,
        "local complexity, 256 pairs and 8 points": lambda: local_complexity(module, inputs[:256]),
        "power by irreducible representation, S5": lambda: irrep_power(elements, s5),
        "RQI by the decoder, p = 59": lambda: decoder_rqi(circle, modular_addition(59), decoder),
    }
    one = seconds(step)
    table = Table("measure", "seconds", "training steps", f"every {EVERY} steps")
    table.add_row("a training step", f"{one:.3f}", "1", "")
    for name, measure in measures.items():
        spent = seconds(measure)
        table.add_row(name, f"{spent:.3f}", f"{spent / one:.2f}", f"{spent / one / EVERY:.2%}")
    Console().print(table)


if __name__ == "__main__":
    main()
