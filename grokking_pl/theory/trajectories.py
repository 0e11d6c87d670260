"""Trajectories of embeddings in the effective theory and in a network (figures 4 (c) and 4 (d))."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Real, Shaped
from torch import Tensor

from grokking_pl.tasks import OperationTable
from grokking_pl.theory.flow import normalised, normalised_flow
from grokking_pl.theory.prediction import Prediction

SHOWN_TIMES = 10
"""Duration of the theory's trajectories in units of 1 / lambda_3; the paper's were straight after about three."""


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Normalised embeddings over steps, in the effective theory and in the network.

    Args:
        theory_steps: time divided by the learning rate.
        theory: embeddings of the normalised flow.
        network_steps: updates made.
        network: embeddings of the network.
        symbols: name of each symbol.
    """

    theory_steps: Float[np.ndarray, " times"]
    theory: Float[np.ndarray, "times p d"]
    network_steps: Real[np.ndarray, " snapshots"]
    network: Float[np.ndarray, "snapshots p d"]
    symbols: tuple[str, ...]


def theory_beside_network(
    prediction: Prediction,
    table: OperationTable,
    train: Int[Tensor, " n"],
    learning_rate: float,
    steps: Sequence[int],
    embeddings: Shaped[Tensor, "snapshots p d"],
    points: int,
) -> Trajectories | None:
    """Compute the normalised flow from the network's initial embeddings.

    Snapshots whose embeddings are all equal cannot be normalised and are left out. If no unique structure is implied,
    the slowest decaying mode sets the duration.

    Args:
        prediction: prediction for the training set.
        table: the operation; it must commute.
        train: indices of the training samples.
        learning_rate: learning rate eta of the embeddings.
        steps: updates made at each snapshot, ascending.
        embeddings: embeddings of the network.
        points: number of times at which to compute the flow.

    Returns:
        Both trajectories; None if step 0 is not among the snapshots, or its embeddings are all equal.
    """
    varied = embeddings.std(dim=1).any(dim=1)
    kept = [step for step, varies in zip(steps, varied.tolist(), strict=True) if varies]
    if 0 not in kept:
        return None
    network = normalised(embeddings[varied])
    decaying = prediction.spectrum[prediction.spectrum > 0]
    last = SHOWN_TIMES / float(decaying[0]) if len(decaying) else kept[-1] * learning_rate
    times = torch.linspace(0, last, points, dtype=torch.float64)
    theory = normalised_flow(network[0], table, train, times)
    return Trajectories(
        (times / learning_rate).numpy(), theory.numpy(), np.array(kept), network.numpy(), tuple(map(str, table.symbols))
    )
