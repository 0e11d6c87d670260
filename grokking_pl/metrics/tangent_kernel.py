"""The empirical tangent kernel of a network and its change, which tells lazy from rich training.

Notation: f_o(x), output o of the network; K(x, y) = sum_o grad f_o(x) . grad f_o(y), gradients with respect to the
weights (Jacot et al., 2018, traced over the outputs); K0, the kernel of the initial weights.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from grokking_pl.errors import UserError


def tangent_kernel(
    network: nn.Module, inputs: Shaped[Tensor, "n ..."], outputs: Sequence[int] | None = None
) -> Float[Tensor, "n n"]:
    """The empirical tangent kernel on some inputs, in double precision and in the network's current mode.

    This takes one backward pass of the n inputs per output, and n times the network's weights in memory: 0.3 s on one
    core for 32 pairs and 16 outputs of the transformer of Nanda et al. (226 000 weights).

    Args:
        network: maps a batch of inputs to vectors of outputs.
        inputs: n inputs.
        outputs: indices of the outputs to sum over; None for all.

    Raises:
        UserError: the network does not return a vector per input, or an output is out of range.
    """
    weights = {name: weight.detach() for name, weight in network.named_parameters() if weight.requires_grad}

    def output(weights: Mapping[str, Tensor], one: Tensor, number: int) -> Tensor:
        given = functional_call(network, dict(weights), (one[None],))
        return given[0, number]

    with torch.no_grad():
        given = network.forward(inputs[:1])
    if given.ndim != 2:
        raise UserError(
            f"a tangent kernel needs one output vector per input, but the outputs have shape {tuple(given.shape)}"
        )
    chosen = range(given.shape[1]) if outputs is None else outputs
    if not all(0 <= number < given.shape[1] for number in chosen):
        raise UserError(f"outputs are {list(chosen)}; the network has outputs 0 to {given.shape[1] - 1}")
    kernel = torch.zeros(len(inputs), len(inputs), dtype=torch.float64)
    with sdpa_kernel(SDPBackend.MATH):  # the other backends cannot batch gradients
        for number in chosen:
            gradients = vmap(grad(output), (None, 0, None))(weights, inputs, number)
            for gradient in gradients.values():
                rows = gradient.flatten(1)
                kernel += (rows @ rows.T).cpu().double()
    return kernel


def kernel_change(kernel: Float[Tensor, "n n"], initial: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    """1 - <K, K0> / (|K| |K0|): 0 if the kernel only grows, towards 1 as features are learned.

    The kernel alignment of Cortes et al. (2012), uncentred, as in Fort et al. (2020, arXiv 2010.15110) and Kumar et al.
    (2024, arXiv 2310.06110) for grokking as the passage from lazy to rich training. Cost: n^2 products, besides
    the kernel.

    Args:
        kernel: K.
        initial: K0.

    Raises:
        UserError: a kernel is zero or not finite.

    >>> kernel_change(3 * torch.eye(2), torch.eye(2)).round(decimals=4).abs()
    tensor(0.)
    """
    norms = kernel.norm() * initial.norm()
    if not (norms > 0 and norms.isfinite()):
        raise UserError("a tangent kernel is zero or not finite, so its change is undefined")
    return 1 - (kernel * initial).sum() / norms
