"""The representation quality index as the decoder sees it: combined vectors are equal where its outputs are.

The paper's index asks for equal combined vectors (definition 1), which a circle has not: for modular addition on one,
E_a + E_b has the angle of the result and a length of its own, and only a decoder that reads the angle generalises. Here
two samples of the same result count as a parallelogram if the decoder gives them the same outputs within a tolerance,
so that the index is 1 for whatever the decoder reads alike: the metric that the paper leaves to later work.

Notation: f, the decoder; x_s, the combined vector of the sample s; y_s = f(x_s) / z, its outputs of k numbers, where z
is their root mean square deviation from their mean over all samples of the table.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.metrics.criterion import Criterion
from grokking_pl.metrics.representation import Representation
from grokking_pl.metrics.rqi import rqi
from grokking_pl.tasks.table import OperationTable

Decode = Callable[[Tensor], Tensor]
"""From combined vectors, (samples, k), to outputs, (samples, outputs)."""


@torch.no_grad()
def decoder_rqi(
    representation: Representation, table: OperationTable, decode: Decode, tolerance: float = 0.1
) -> Float[Tensor, "*batch"]:
    """The share of parallelograms (equation 3) whose two samples the decoder gives the same outputs.

    Two outputs agree if the root mean square of y_s - y_t over the outputs is below the tolerance. Outputs of classes
    differ by about 1 in this unit. The whole table is decoded once; the pairs are compared as in `rqi`: 0.01 s of one
    core for p = 59.

    Args:
        representation: embeddings (*batch, p, d) of the table's p symbols, and how two are combined.
        table: the operation.
        decode: the decoder, the same for the whole batch; it may add features of its own, such as a softmax.
        tolerance: in the unit of the outputs' deviation.

    Returns:
        Between 0 and 1; nan if no two samples have the same result; 1 if all outputs are equal.

    Raises:
        UserError: the tolerance is not positive, an embedding or output is nan or infinite, or the number of embeddings
            is not the table's.

    >>> from grokking_pl.tasks import modular_addition
    >>> angles = 2 * torch.pi * torch.arange(7.0) / 7
    >>> circle = Representation(torch.stack([angles.cos(), angles.sin()], 1))
    >>> def angle(sums):  # twice the angle of E_a + E_b is that of a + b
    ...     x, y = (sums / sums.norm(dim=-1, keepdim=True)).unbind(-1)
    ...     return torch.stack([x * x - y * y, 2 * x * y], -1)
    >>> decoder_rqi(circle, modular_addition(7), angle)
    tensor(1.)
    """
    if not tolerance > 0:
        raise UserError(f"tolerance is {tolerance}; it must be above 0")
    if representation.p != table.p:
        raise UserError(f"the representation has {representation.p} embeddings, but {table.name} has {table.p} symbols")
    values = [_one(embeddings, representation, table, decode, tolerance) for embeddings in _runs(representation)]
    return torch.stack(values).view(representation.batch).to(representation.embeddings.device)


def _runs(representation: Representation) -> Float[Tensor, "runs p d"]:
    embeddings = representation.embeddings
    return embeddings.reshape(-1, *embeddings.shape[-2:])


def _one(
    embeddings: Float[Tensor, "p d"],
    representation: Representation,
    table: OperationTable,
    decode: Decode,
    tolerance: float,
) -> Float[Tensor, ""]:
    Representation(embeddings).exact()  # an error if an embedding is no number
    a, b = table.a.to(embeddings.device), table.b.to(embeddings.device)
    outputs = decode(representation.combine(embeddings[a], embeddings[b])).flatten(1)
    if outputs.shape[0] != len(table):
        raise UserError(f"decode returned {len(outputs)} outputs for {len(table)} combined vectors, expected as many")
    if not outputs.isfinite().all():
        raise UserError("the decoder's outputs are nan or infinite: training diverged; lower the learning rate")
    exact = outputs.double()
    exact = exact - exact.mean(0)
    scale = exact.square().mean().sqrt()
    scaled = exact / scale if scale > torch.finfo(outputs.dtype).eps * outputs.double().abs().amax() else 0 * exact
    # Each sample as a symbol of its own, whose embedding is what the decoder makes of it.
    samples = torch.arange(len(table))
    names = tuple(map(str, samples.tolist()))
    as_symbols = OperationTable(samples, samples, table.c, names, table.results, False, table.name)
    seen = Representation(scaled, lambda left, right: left)
    return rqi(seen, as_symbols, Criterion(tolerance**2, "mean_square", None)).to(representation.result_dtype)
