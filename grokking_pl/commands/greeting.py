"""The first lines of a run: its folder, seed and samples, and a note if its network cannot represent the operation."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.callbacks.reporting import number_of_samples, tell
from grokking_pl.tasks.table import OperationTable
from grokking_pl.training import GrokkingModule

MOST_PAIRS = 64
"""Most pairs of symbols that are given to the network in both orders."""


class Greeting(pl.Callback):
    """Prints where the run is kept, its seed and its sizes, once the callbacks have checked the network and the data.

    Args:
        where: the run's folder, in words.
        seed: seed of the run.
    """

    def __init__(self, where: str, seed: Any) -> None:
        super().__init__()
        self.where = where
        self.seed = seed

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the lines, in the first process."""
        if not trainer.is_global_zero:
            return
        counts = number_of_samples(trainer)
        samples = ", {train_samples} training and {val_samples} validation samples".format(**counts) if counts else ""
        tell(f"{self.where}, seed {self.seed}{samples}")
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        table = getattr(data, "table", None)
        if isinstance(pl_module, GrokkingModule) and isinstance(table, OperationTable) and not data.sizes.tokens:
            pairs = pairs_that_do_not_commute(table)
            if len(pairs) and ignores_order(pl_module, pairs[:MOST_PAIRS]):
                does = "adds the embeddings" if pl_module.representation.adds else "combines embeddings in either order"
                tell(
                    f"note: {table.name} does not commute, and {type(pl_module.network).__name__} {does}, so it cannot "
                    "tell (a, b) from (b, a)"
                )


def pairs_that_do_not_commute(table: OperationTable) -> Int[Tensor, "pairs 2"]:
    """The pairs (a, b) of a table that has both a * b and b * a, with different results."""
    results = torch.full((table.p, table.p), -1)
    results[table.a, table.b] = table.c
    return ((results >= 0) & (results.T >= 0) & (results != results.T)).nonzero()


@torch.no_grad()
def ignores_order(module: GrokkingModule, pairs: Int[Tensor, "pairs 2"]) -> bool:
    """Whether a network that combines embeddings has the same outputs for (a, b) as for (b, a)."""
    if not (module.has_representation and module.has_combination):
        return False
    network, pairs = module.network, pairs.to(module.device)
    was_training = network.training
    network.train(False)
    # By forward, so that nothing is compiled for this.
    outputs, swapped = network.forward(pairs), network.forward(pairs.flip(1))
    network.train(was_training)
    # Outputs that are all equal, as of a last layer that is initially 0, say nothing.
    return torch.equal(outputs, swapped) and not bool((outputs == outputs[:1]).all())
