"""Decision maps: the decoder's classes over the plane of two-dimensional embeddings (figure 2 of the paper)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.models.contract import combination_of
from grokking_pl.training.module import GrokkingModule

MARGIN = 0.15
"""Margin on each side, relative to the extent of the combined embeddings."""
MOST_POINTS = 8192
"""Points decoded per batch."""


@dataclass(frozen=True)
class Decisions:
    """The predicted classes on a grid over the plane of the combined embeddings.

    Args:
        x: first coordinate of the columns.
        y: second coordinate of the rows.
        classes: predicted class at each point.
        symbols: position of each symbol combined with itself; combinations of two lie midway between them.
    """

    x: Float[np.ndarray, " columns"]
    y: Float[np.ndarray, " rows"]
    classes: Int[np.ndarray, "rows columns"]
    symbols: Float[np.ndarray, "p 2"]


@torch.no_grad()
def decision_map(module: GrokkingModule, points: int = 300) -> Decisions:
    """Decode a grid of points in the decoder's input plane, around the region of the embeddings.

    Args:
        module: a module whose network adds two-dimensional embeddings, as sum or mean, before a ``decoder``.
        points: grid points per direction.

    Raises:
        UserError: the network is of another kind, or an embedding is nan or infinite.
    """
    check_plane(module)
    network = module.network
    embeddings = module.representation.embeddings
    symbols = combination_of(network)(embeddings, embeddings)
    if not symbols.isfinite().all():
        raise UserError("embeddings are nan or infinite, so there is no decision map: lower the learning rate")
    low, high = symbols.amin(0), symbols.amax(0)
    edge = MARGIN * float((high - low).max()) or 1.0
    x, y = (torch.linspace(float(low[k]) - edge, float(high[k]) + edge, points, dtype=torch.float64) for k in (0, 1))
    grid = torch.cartesian_prod(y, x).flip(1).to(embeddings)  # row by row
    was_training = network.training
    network.train(False)
    classes = [module.predict_class(_decode(module, part)) for part in grid.split(MOST_POINTS)]
    network.train(was_training)
    return Decisions(
        x.numpy(), y.numpy(), torch.cat(classes).view(points, points).cpu().numpy(), symbols.double().cpu().numpy()
    )


def check_plane(module: GrokkingModule) -> None:
    """Check that the decoder's input is a plane.

    Raises:
        UserError: the network has no decoder of the sum or mean of two-dimensional embeddings.
    """
    representation, kind = module.representation, type(module.network).__name__
    dimension = representation.embeddings.shape[1]
    if dimension != 2:
        raise UserError(f"the embeddings of {kind} have dimension {dimension}, but a decision map needs dimension 2")
    if not (representation.adds and callable(getattr(module.network, "decoder", None))):
        raise UserError(
            f"{kind} has no decoder of the sum of two embeddings, so there is no plane to draw: choose ToyModel"
        )


def _decode(module: GrokkingModule, points: Float[Tensor, "points 2"]) -> Float[Tensor, "points outputs"]:
    outputs: Tensor = module.network.decoder(points)  # type: ignore[operator]
    return module.scaled(outputs)
