"""Quality of the representation as seen by the decoder."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import require_combination, require_table
from grokking_pl.errors import UserError, require_above
from grokking_pl.metrics import decoder_rqi


class DecoderQuality(Measurement):
    """Logs ``decoder_rqi``: the fraction of parallelograms whose two samples have the same decoder outputs.

    It detects what `RepresentationQuality` misses: circles of modular addition, and anything else the decoder treats as
    equal. The network's module ``decoder`` must map combined embeddings to outputs, as in the toy and permutation
    models.

    Args:
        every_n_steps: steps between measurements.
        tolerance: root mean square difference below which two outputs agree, in units of their deviation.

    Raises:
        UserError: a parameter is out of range, the data have no operation table, or the network has no embeddings or no
            decoder of combined embeddings.
    """

    def __init__(self, every_n_steps: int = 100, tolerance: float = 0.1) -> None:
        super().__init__(every_n_steps)
        require_above("DecoderQuality", "tolerance", tolerance, 0)
        self.tolerance = tolerance

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there is a decoder."""
        require_table(trainer, "DecoderQuality")
        network: Any = pl_module.network
        if not callable(getattr(network, "decoder", None)):
            raise UserError(
                f"DecoderQuality needs a decoder of combined embeddings, and {type(network).__name__} has none: choose "
                "an architecture such as ToyModel"
            )
        require_combination(pl_module, "DecoderQuality")

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the operation table."""
        self._table = trainer.datamodule.table  # type: ignore[attr-defined]

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current index."""
        network = pl_module.network
        return {
            "decoder_rqi": float(decoder_rqi(pl_module.representation, self._table, network.decoder, self.tolerance))
        }
