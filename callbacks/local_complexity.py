"""The local complexity of a network around its samples."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.errors import UserError
from grokking_pl.spacing import evenly_spaced
from grokking_pl.training import local_complexity


class LocalComplexity(Measurement):
    """Logs the number of neurons that change sign within a ball around samples (see `local_complexity`).

    The columns are ``train_complexity`` and ``val_complexity``, means over the samples (Humayun et al., 2024).

    Args:
        every_n_steps: steps between measurements.
        samples: number of samples of each set, evenly spaced.
        radius: radius of the ball, relative to the root mean square length of the inputs or embeddings.
        points: number of points on the ball's surface.

    Raises:
        UserError: a number is out of range, or the network has no nonlinearity, or neither vector inputs nor
            embeddings.
    """

    def __init__(self, every_n_steps: int = 1000, samples: int = 256, radius: float = 0.05, points: int = 8) -> None:
        super().__init__(every_n_steps)
        if samples < 1:
            raise UserError(f"LocalComplexity: samples is {samples}; it must be at least 1")
        self.samples = samples
        self.radius = radius
        self.points = points

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the network and the data."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(data, "train_set") or not hasattr(pl_module, "network"):
            raise UserError("LocalComplexity needs a datamodule with train_set, and a module with a network")

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the samples."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        sets = {"train": data.train_set[0], "val": data.val_set[0]}
        self._inputs = {
            name: inputs[evenly_spaced(len(inputs), self.samples)] for name, inputs in sets.items() if len(inputs)
        }

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current means."""
        plugin: Any = trainer.precision_plugin
        try:
            return {
                f"{name}_complexity": float(
                    local_complexity(pl_module, plugin.convert_input(inputs), self.radius, self.points).mean()
                )
                for name, inputs in self._inputs.items()
            }
        except UserError as error:
            raise UserError(f"LocalComplexity: {error}") from None
