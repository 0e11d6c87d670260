"""The power of embeddings by irreducible representation of a group."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import require_table
from grokking_pl.errors import UserError
from grokking_pl.metrics import character_table, irrep_power


class IrrepSpectrum(Measurement):
    """Logs the fraction of the embeddings' power in each irreducible representation of the data's group.

    The columns are ``irrep_power_1``, ``irrep_power_2``, .. in the order of `character_table`, by dimension; number 0,
    the trivial representation, is removed with the mean. The summary has the dimensions.

    Args:
        every_n_steps: steps between measurements.

    Raises:
        UserError: every_n_steps is not positive, the network has no embeddings, or the data's operation is not that of
            a group.
    """

    needs_only_embeddings = True

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compute the characters."""
        self._table = require_table(trainer, "IrrepSpectrum").table
        try:
            self._dimensions: list[int] = character_table(self._table).dimensions.tolist()
        except UserError as error:
            raise UserError(f"IrrepSpectrum: {error}") from None

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current fractions."""
        power = irrep_power(pl_module.representation.embeddings, self._table).tolist()
        return {f"irrep_power_{number}": share for number, share in enumerate(power) if number}

    def summary(self) -> dict[str, Any]:
        """The last fractions, and the dimension of each representation."""
        values = super().summary()
        return {**values, "irrep_dimensions": self._dimensions} if values else {}
