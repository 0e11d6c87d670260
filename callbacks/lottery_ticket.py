"""The final structure in the initial embeddings (section 4.2 and appendix K of the paper)."""

from typing import Any

import lightning.pytorch as pl
from jaxtyping import Float
from torch import Tensor

from grokking_pl.callbacks.reporting import Reporting, draw, require_representation, symbol_names
from grokking_pl.errors import UserError


class LotteryTicket(pl.Callback, Reporting):
    """Draws the initial embeddings on the principal axes of the final ones, between both on their own axes.

    The figure is ``lottery_ticket.png``. The summary has the initial embeddings' variance along the two final axes,
    relative to that along two average axes: 1 if nothing of the final structure was there.

    Raises:
        UserError: the network has no embeddings.
    """

    def __init__(self) -> None:
        super().__init__()
        self._initial: Float[Tensor, "p d"] | None = None
        self._excess: dict[str, float] = {}
        self._figure: tuple[Any, ...] = ()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are embeddings."""
        require_representation(pl_module, "LotteryTicket")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the initial embeddings."""
        module: Any = pl_module
        if self._initial is None:
            if trainer.global_step:
                raise UserError("LotteryTicket: the checkpoint has no initial embeddings: start a new run")
            self._initial = module.representation.embeddings.float().cpu().clone()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the initial embeddings with the final ones."""
        from grokking_pl.plots.lottery_ticket import initial_excess  # matplotlib is slow to import

        module: Any = pl_module
        assert self._initial is not None
        initial, final = self._initial.numpy(), module.representation.embeddings.float().cpu().numpy()
        self._excess = {"initial_excess": initial_excess(initial, final)}
        self._figure = (initial, final, symbol_names(trainer, len(final)), trainer.global_step)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the figure."""
        if self._figure:
            draw(trainer, "lottery_ticket.png", self._draw)

    def state_dict(self) -> dict[str, Any]:
        """The initial embeddings."""
        return {"initial": self._initial}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a checkpoint's initial embeddings."""
        self._initial = state_dict["initial"]

    def summary(self) -> dict[str, Any]:
        """The initial embeddings' variance along the final axes, relative to that along average axes."""
        return dict(self._excess)

    def _draw(self) -> Any:
        from grokking_pl.plots.lottery_ticket import lottery_ticket

        return lottery_ticket(*self._figure)
