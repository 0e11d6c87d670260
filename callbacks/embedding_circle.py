"""The circle of embeddings in addition modulo p (section 4.2 and figure 1 of the paper)."""

from typing import Any

import lightning.pytorch as pl
import torch

from grokking_pl.callbacks.reporting import Reporting, draw, require_representation, symbol_names
from grokking_pl.metrics import fourier_power


class EmbeddingCircle(pl.Callback, Reporting):
    """Draws the final embeddings at their first two principal components, with their numbers: ``circle.png``.

    Neighbours on a circle differ by the inverse of its frequency, so the numbers are joined in the order of the
    strongest frequency of the two components.

    Raises:
        UserError: the network has no embeddings.
    """

    def __init__(self) -> None:
        super().__init__()
        self._circle: dict[str, Any] = {}
        self._figure: tuple[Any, ...] = ()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are embeddings to draw."""
        require_representation(pl_module, "EmbeddingCircle")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the circle's frequency."""
        from grokking_pl.plots.principal_axes import principal_plane  # imports matplotlib, which is slow

        module: Any = pl_module
        embeddings = module.representation.embeddings.float().cpu()
        points, explained = principal_plane(embeddings.numpy())
        power = fourier_power(torch.from_numpy(points))
        frequency = int(power.argmax()) + 1
        self._circle = {"circle_frequency": frequency, "circle_power": float(power.max())}
        self._figure = (points, symbol_names(trainer, len(embeddings)), frequency, explained, trainer.global_step)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the figure."""
        if self._figure:
            draw(trainer, "circle.png", self._draw)

    def summary(self) -> dict[str, Any]:
        """The strongest frequency in the plane of the first two components, and its fraction of the power there."""
        return dict(self._circle)

    def _draw(self) -> Any:
        from grokking_pl.plots.circle import embedding_circle  # matplotlib is slow to import

        return embedding_circle(*self._figure)
