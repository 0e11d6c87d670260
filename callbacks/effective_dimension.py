"""The effective dimension of the embeddings (section 4.2 of the paper)."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import require_representation
from grokking_pl.metrics import effective_dimension, pca_entropy


class EffectiveDimension(Measurement):
    """Logs the entropy S of the principal components of the embeddings, and the effective dimension exp(S).

    Args:
        every_n_steps: steps between measurements.

    Raises:
        UserError: every_n_steps is not positive, the network has no embeddings, or an embedding is nan or infinite.
    """

    needs_only_embeddings = True

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are embeddings."""
        require_representation(pl_module, "EffectiveDimension")

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """Entropy and effective dimension of the embeddings."""
        embeddings = pl_module.representation.embeddings
        return {
            "pca_entropy": float(pca_entropy(embeddings)),
            "effective_dimension": float(effective_dimension(embeddings)),
        }

    def status(self) -> dict[str, str]:
        """The effective dimension."""
        return {"dim": f"{self.values['effective_dimension']:.1f}"} if self.values else {}
