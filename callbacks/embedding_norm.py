"""The size of the embeddings over time. The shortest useful callback: copy this file to begin your own."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.reporting import Reporting, log


class EmbeddingNorm(pl.Callback, Reporting):
    """Logs the root mean square of the embeddings.

    Args:
        every_n_steps: steps between measurements.
    """

    def __init__(self, every_n_steps: int = 100) -> None:
        self.every_n_steps = every_n_steps
        self.norm = float("nan")

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Measure and log, if it is time to."""
        if trainer.global_step % self.every_n_steps == 0:
            embeddings = pl_module.representation.embeddings
            self.norm = float(embeddings.square().mean().sqrt())
            log(trainer, trainer.global_step, {"embedding_norm": self.norm})

    def summary(self) -> dict[str, Any]:
        """The last value, for summary.json."""
        return {"embedding_norm": self.norm}
