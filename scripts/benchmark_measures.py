"""The cost of measures, in seconds on one core and in training steps of the measured network.

python scripts/benchmark_measures.py    the transformer of Nanda et al. (2023), p = 113, and others; two minutes
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
    class_effective_loss,
    cosine,
    decoder_rqi,
    effective_dimension,
    excluded_loss,
    fourier_norms,
    fourier_power,
    gini,
    group_excluded_loss,
    group_pair_spectrum,
    group_restricted_loss,
    inverse_participation_ratio,
    irrep_power,
    logit_margins,
    neuron_frequencies,
    neuron_irreps,
    pair_spectrum,
    predicted_accuracy,
    restricted_loss,
    rqi,
    sharpness,
    tangent_kernel,
    total_norm,
    truncated_embeddings,
    zero_loss_share,
)
from grokking_pl.models import Transformer
from grokking_pl.sizes import Sizes
from grokking_pl.tasks import addition, modular_addition, symmetric_group
from grokking_pl.training import (
    PowerModule,
    local_complexity,
    output_weights,
    pair_activations,
    stitched_accuracy,
    truncated_accuracy,
)

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
    weights = {name: weight.detach().clone() for name, weight in module.network.state_dict().items()}
    losses = torch.rand(len(pairs), generator=generator)
    step()
    gradients = [weight.grad for weight in module.network.parameters()]
    s5 = symmetric_group(5)
    elements = torch.randn(120, 128, generator=generator)
    group_logits, group_neurons = (torch.randn(120, 120, n, generator=generator) for n in (121, 512))
    group_train = torch.rand(120, 120, generator=generator) < 0.4
    images, digits = torch.randn(1000, 200, generator=generator), torch.arange(1000) % 10
    decoder = torch.nn.Sequential(torch.nn.Linear(2, 200), torch.nn.Tanh(), torch.nn.Linear(200, 59))
    circle = Representation(torch.randn(59, 2, generator=generator))
    line, ten = Representation(torch.randn(10, 1, generator=generator)), addition(10)
    plane, whole = Representation(embeddings), modular_addition(P)

    outputs = output_weights(module)
    assert outputs is not None

    def fourier_progress() -> None:
        given = pair_activations(module)
        neuron_frequencies(given["blocks.0.activation"][:, :, 0])
        pair_spectrum(given["outputs"])
        restricted_loss(given["outputs"], KEYS)
        excluded_loss(given["outputs"], KEYS, train)
        fourier_power(embeddings)
        for rows in (embeddings, outputs[:P]):
            gini(fourier_norms(rows))
            inverse_participation_ratio(fourier_norms(rows))

    measures: dict[str, Callable[[], object]] = {
        "all of FourierProgress": fourier_progress,
        "activations over all pairs": lambda: pair_activations(module),
        "frequencies of 512 neurons": lambda: neuron_frequencies(neurons),
        "spectrum of the outputs over both operands": lambda: pair_spectrum(logits),
        "restricted loss": lambda: restricted_loss(logits, KEYS),
        "excluded loss": lambda: excluded_loss(logits, KEYS, train),
        "fractions of the power by frequency": lambda: fourier_power(embeddings),
        "norms by frequency, and their Gini coefficient": lambda: gini(fourier_norms(embeddings)),
        "and their inverse participation ratio": lambda: inverse_participation_ratio(fourier_norms(embeddings)),
        "norm of the gradient": lambda: total_norm(gradients),
        "cosine of two gradients": lambda: cosine(gradients, gradients),
        "logit margins, all pairs": lambda: logit_margins(logits.flatten(0, 1), pairs.sum(1) % P),
        "fraction of zero losses, all pairs": lambda: zero_loss_share(losses),
        "tangent kernel, 32 pairs and 16 outputs": lambda: tangent_kernel(module.network, inputs[:32], range(0, P, 7)),
        "sharpness, 512 pairs": curvature,
        "local complexity, 256 pairs and 8 points": lambda: local_complexity(module, inputs[:256]),
        "truncated embeddings, 12 numbers of components": lambda: truncated_embeddings(embeddings, range(1, 13)),
        "their accuracy on the training pairs": lambda: truncated_accuracy(module, (inputs, targets), range(1, 13)),
        "accuracy of 2 decoders on 2 embeddings": lambda: stitched_accuracy(module, [weights] * 2, (inputs, targets)),
        "power by irreducible representation, S5": lambda: irrep_power(elements, s5),
        "restricted loss, S5": lambda: group_restricted_loss(group_logits, s5, [2, 3]),
        "excluded loss, S5": lambda: group_excluded_loss(group_logits, s5, [2, 3], group_train),
        "spectrum of the outputs over both operands, S5": lambda: group_pair_spectrum(group_logits, s5),
        "representations of 512 neurons, S5": lambda: neuron_irreps(group_neurons, s5),
        "effective dimension": lambda: effective_dimension(embeddings),
        "RQI, p = 10 and d = 1": lambda: rqi(line, ten),
        "predicted accuracy, p = 10 and d = 1": lambda: predicted_accuracy(line, ten, torch.arange(45)),
        "RQI, p = 113 and d = 128": lambda: rqi(plane, whole),
        "RQI by the decoder, p = 59": lambda: decoder_rqi(circle, modular_addition(59), decoder),
        "effective loss of 1000 images, 200 dimensions": lambda: class_effective_loss(images, digits),
    }
    one = seconds(step)
    table = Table("measure", "seconds", "training steps", f"every {EVERY} steps")
    table.add_row("a training step", f"{one:.5f}", "1", "")
    for name, measure in measures.items():
        spent = seconds(measure)
        table.add_row(name, f"{spent:.5f}", f"{spent / one:.3f}", f"{spent / one / EVERY:.3%}")
    Console().print(table)


if __name__ == "__main__":
    main()
