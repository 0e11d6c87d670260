"""Snapshots of the embeddings at chosen steps, and their figure (figure 1 of the paper)."""

import shutil
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.callbacks.reporting import (
    Reporting,
    draw,
    keep_arrays,
    require_representation,
    run_folder,
    symbol_names,
    tell_failure,
    writes_files,
)
from grokking_pl.callbacks.snapshot_steps import check_steps, choose_steps
from grokking_pl.errors import UserError
from grokking_pl.runs.files import atomic_path


class EmbeddingSnapshots(pl.Callback, Reporting):
    """Writes the embeddings at given steps to ``embeddings.npz`` and draws their first two principal components.

    The file holds ``steps`` (n), ``embeddings`` (n x p x d) and ``symbols`` (p names). The figure is
    ``embeddings.png``, one panel per snapshot; ``animation`` adds a film.

    Args:
        steps: steps at which to keep the embeddings; null for ``count`` steps, evenly spaced on a logarithmic axis, and
            the last step of the run.
        count: number of steps to choose.
        fixed_axes: project all snapshots on the principal axes of the last one, instead of each on its own.
        animation: also draw an animation of the snapshots; "mp4" needs ffmpeg.

    Raises:
        UserError: a step is negative, count is not positive, the network has no embeddings, or ffmpeg is needed but not
            installed.
    """

    def __init__(
        self,
        steps: list[int] | None = None,
        count: int = 30,
        fixed_axes: bool = False,
        animation: Literal["gif", "mp4"] | None = None,
    ) -> None:
        super().__init__()
        check_steps("EmbeddingSnapshots", steps, count)
        if animation == "mp4" and shutil.which("ffmpeg") is None:
            raise UserError("EmbeddingSnapshots: animation mp4 needs ffmpeg, which is not installed: choose gif")
        self.steps = steps
        self.count = count
        self.fixed_axes = fixed_axes
        self.animation = animation
        self._snapshots: dict[int, Float[Tensor, "p d"]] = {}
        self._chosen: set[int] = set()
        self._final: dict[int, Float[Tensor, "p d"]] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are embeddings, and choose the steps."""
        require_representation(pl_module, "EmbeddingSnapshots")
        self._chosen = choose_steps("EmbeddingSnapshots", self.steps, self.count, "embeddings", trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the initial embeddings if step 0 is among the steps."""
        self._take(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the embeddings if this is one of the steps."""
        self._take(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the final embeddings, but not in the checkpoint, since a longer run would not have this snapshot."""
        if self.steps is None:
            self._final = {trainer.global_step: _copy(pl_module)}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file and draw the figure.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        snapshots = self._snapshots | self._final
        if not (snapshots and writes_files(trainer)):
            return
        folder = run_folder(trainer).path
        steps = sorted(snapshots)
        # NumPy has no bfloat16.
        stack = torch.stack([_at_least_single_precision(snapshots[step]) for step in steps]).numpy()
        symbols = symbol_names(trainer, stack.shape[1])
        keep_arrays(trainer, "embeddings.npz", steps=np.array(steps), embeddings=stack, symbols=np.array(symbols))

        def panels() -> Any:
            from grokking_pl.plots.embeddings import embedding_panels  # matplotlib is slow to import

            return embedding_panels(steps, stack, symbols, self.fixed_axes)

        draw(trainer, "embeddings.png", panels)
        if self.animation:
            film = folder / f"embeddings.{self.animation}"
            try:
                from grokking_pl.plots.embeddings import embedding_film

                with atomic_path(film) as path:
                    embedding_film(steps, stack, symbols, self.fixed_axes, path)
            except Exception as error:
                tell_failure(film.name, error)

    def state_dict(self) -> dict[str, Any]:
        """The snapshots so far."""
        return {"snapshots": self._snapshots}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a checkpoint's snapshots."""
        self._snapshots = dict(state_dict["snapshots"])

    def _take(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step in self._chosen:
            self._snapshots[trainer.global_step] = _copy(pl_module)


def _copy(module: Any) -> Float[Tensor, "p d"]:
    embeddings: Tensor = module.representation.embeddings
    return embeddings.cpu().clone()


def _at_least_single_precision(values: Float[Tensor, "p d"]) -> Float[Tensor, "p d"]:
    return values.to(torch.promote_types(values.dtype, torch.float32))
