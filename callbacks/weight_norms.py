"""The norms of the weights of each group."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.errors import UserError
from grokking_pl.metrics import total_norm


class WeightNorms(Measurement):
    """Logs the Euclidean norms of the embeddings' and the decoder's parameters.

    Args:
        every_n_steps: steps between measurements.

    Raises:
        UserError: every_n_steps is not positive, or the module has no groups of parameters.
    """

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are groups of parameters."""
        if not hasattr(pl_module, "parameter_groups"):
            raise UserError(f"WeightNorms needs parameter groups, but {type(pl_module).__name__} has none")

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The norm of each group."""
        return {
            f"weight_norm_{name}": float(total_norm(parameters))
            for name, parameters in pl_module.parameter_groups().items()
            if parameters
        }
