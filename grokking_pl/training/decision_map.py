"""What a decoder makes of the plane that it reads, for two-dimensional embeddings (figure 2 of the paper)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.models.contract import combination_of
from grokking_pl.training.module import GrokkingModule

MARGIN = 0.15
"""Of the combined embeddings' extent, on each side."""
MOST_POINTS = 8192
"""Points that are decoded at a time."""


@dataclass(frozen=True)
class Decisions:
    """The classes of a grid of points over the plane of the combined embeddings.

    Args:
        x: the columns' first coordinate.
        y: the rows' second coordinate.
        classes: the predicted class at each point.
        symbols: where each symbol combined with itself lies; the combination of two is midway between them.
    """

    x: Float[np.ndarray, " columns"]
    y: Float[np.ndarray, " rows"]
    classes: Int[np.ndarray, "rows columns"]
    symbols: Float[np.ndarray, "p 2"]


@torch.no_grad()
def decision_map(module: GrokkingModule, points: int = 300) -> Decisions:
    """Ask the decoder for the class of each point of the plane that it reads, around what the embeddings reach of it.

    Args:
        module: its network adds two-dimensional embeddings, to their sum or mean, for a ``decoder``.
        points: of the grid, in each direction.

    Raises:
        UserError: the network is of another kind, or an embedding is nan or infinite.
    """
    check_plane(module)
    network = module.network
    embeddings = module.representation.embeddings
    symbols = combination_of(network)(embeddings, embeddings)
    if not symbols.isfinite().all():
        raise UserError("there is no decision map of embeddings that are nan or infinite: lower the learning rate")
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
    """See that there is a plane to draw.

    Raises:
        UserError: the network has no decoder that reads the sum or mean of two embeddings of two dimensions.
    """
    representation, kind = module.representation, type(module.network).__name__
    dimension = representation.embeddings.shape[1]
    if dimension != 2:
        raise UserError(f"the embeddings of {kind} have dimension {dimension}, but a decision map has 2: choose 2")
    if not (representation.adds and callable(getattr(module.network, "decoder", None))):
        raise UserError(
            f"{kind} has no decoder that reads the sum of two embeddings, so there is no plane to draw: choose ToyModel"
        )


def _decode(module: GrokkingModule, points: Float[Tensor, "points 2"]) -> Float[Tensor, "points outputs"]:
    outputs: Tensor = module.network.decoder(points)  # type: ignore[operator]
    return module.scaled(outputs)
