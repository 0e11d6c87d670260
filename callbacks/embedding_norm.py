"""The size of the embeddings over time. The shortest useful callback: copy this file to start your own."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.measurement import Measurement


class EmbeddingNorm(Measurement):
    """Logs the root mean square of the embeddings."""

    needs_only_embeddings = True

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current root mean square."""
        return {"embedding_norm": float(pl_module.representation.embeddings.square().mean().sqrt())}
