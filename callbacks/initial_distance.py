"""The distance of the weights from their initial values."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.errors import UserError
from grokking_pl.metrics import total_norm


class InitialDistance(Measurement):
    """Logs the Euclidean distance of each group's weights from the initial ones, relative to their initial norm.

    The columns are ``distance_embeddings`` and ``distance_decoder``; a group whose initial weights are all zero has
    none. Checkpoints contain the initial weights.

    Args:
        every_n_steps: steps between measurements.

    Raises:
        UserError: every_n_steps is not positive, the module has no groups of parameters, or a checkpoint does not
            contain the initial weights.
    """

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are groups of parameters."""
        if not hasattr(pl_module, "parameter_groups"):
            raise UserError(f"InitialDistance needs parameter groups, but {type(pl_module).__name__} has none")

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the initial weights."""
        if "initial" in self.state:
            return
        if trainer.global_step:
            raise UserError("InitialDistance has no initial weights to compare with: start at step 0")
        module: Any = pl_module
        groups: dict[str, list[Tensor]] = module.parameter_groups()
        self.state["initial"] = {
            name: [weight.detach().cpu().clone() for weight in weights] for name, weights in groups.items()
        }

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The distance of each group."""
        distances = {}
        for name, weights in pl_module.parameter_groups().items():
            initial = self.state["initial"][name]
            norm = float(total_norm(initial))
            if norm:
                moved = [now.detach() - then.to(now) for now, then in zip(weights, initial, strict=True)]
                distances[f"distance_{name}"] = float(total_norm(moved)) / norm
        return distances
