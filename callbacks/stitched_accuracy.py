"""The decoder of one step on the embeddings of every other step (section 4.2 of the paper, appendix K)."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from grokking_pl.callbacks.reporting import (
    Reporting,
    draw,
    keep_arrays,
    require_scores,
    run_folder,
    tell,
    writes_files,
)
from grokking_pl.callbacks.snapshot_steps import check_steps, choose_steps
from grokking_pl.runs.weight_snapshots import WeightSnapshots
from grokking_pl.training.stitched_accuracy import split_weights, stitched_correct


class StitchedAccuracy(pl.Callback, Reporting):
    """Keeps the weights at given steps, and at the end combines each step's decoder with the others' embeddings.

    The weights are in the run's folder ``weights/``, one file per step. ``stitched_accuracy.npz`` holds ``steps`` (n),
    and ``train`` and ``val`` (n x n), accuracies with the decoder of the row's step and the embeddings of the column's;
    ``stitched_accuracy.png`` shows them. The decoder is everything outside the ``embeddings`` group.

    Args:
        steps: steps at which to keep the weights; null for ``count`` steps, evenly spaced on a logarithmic axis, and
            the last step of the run.
        count: number of steps to choose.

    Raises:
        UserError: a step is negative, count is not positive, or the module has no ``score`` and ``parameter_groups``.
    """

    def __init__(self, steps: list[int] | None = None, count: int = 12) -> None:
        super().__init__()
        check_steps("StitchedAccuracy", steps, count)
        self.steps = steps
        self.count = count
        self._kept: list[int] = []
        self._chosen: set[int] = set()
        self._final: list[int] = []
        self._maps: dict[str, np.ndarray] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the module and the data, and choose the steps."""
        require_scores(trainer, "StitchedAccuracy")
        self._chosen = choose_steps("StitchedAccuracy", self.steps, self.count, "weights", trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the initial weights if step 0 is among the steps."""
        self._final = []
        if writes_files(trainer):
            self._find_kept(trainer)
        self._take(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the weights if this is one of the steps."""
        self._take(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Evaluate every decoder with all embeddings, including the last step, which a longer run would not keep."""
        if not writes_files(trainer):
            return
        snapshots, step = _snapshots(trainer), trainer.global_step
        if self.steps is None and step not in self._kept:
            snapshots.write(step, _weights(pl_module))
            self._final = [step]
        steps = sorted({*self._kept, *self._final})
        if steps:
            train, val = _maps(trainer, pl_module, snapshots, steps)
            self._maps = {"steps": np.array(steps), "train": train, "val": val}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write and draw the maps.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        if not self._maps:
            return
        keep_arrays(trainer, "stitched_accuracy.npz", **self._maps)
        draw(trainer, "stitched_accuracy.png", self._draw)

    def summary(self) -> dict[str, Any]:
        """Validation accuracy of the last decoder with the first embeddings, and of the first with the last."""
        if not self._maps:
            return {}
        val = self._maps["val"]
        return {
            "last_decoder_on_first_embeddings": float(val[-1, 0]),
            "first_decoder_on_last_embeddings": float(val[0, -1]),
        }

    def state_dict(self) -> dict[str, Any]:
        """The steps at which weights were kept in files."""
        return {"kept": self._kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the steps kept before a checkpoint."""
        self._kept = list(state_dict["kept"])

    def _take(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        step = trainer.global_step
        if step in self._chosen and step not in self._kept:
            if writes_files(trainer):
                _snapshots(trainer).write(step, _weights(pl_module))
            self._kept = [*self._kept, step]

    def _find_kept(self, trainer: pl.Trainer) -> None:
        """Keep only the files of the steps before a checkpoint, copied from another run's folder if needed."""
        snapshots = _snapshots(trainer)
        snapshots.keep_only(self._kept)
        if self._kept and trainer.ckpt_path:
            # Checkpoints are in the folder checkpoints/ of their run.
            other = WeightSnapshots(Path(trainer.ckpt_path).resolve().parent.parent / snapshots.path.name)
            if missing := snapshots.take_from(other, self._kept):
                tell(f"grok: no weights of steps {missing} beside the checkpoint; stitched_accuracy leaves them out")
                self._kept = [step for step in self._kept if step not in missing]

    def _draw(self) -> Any:
        from grokking_pl.plots.stitched_accuracy import stitched_accuracy  # matplotlib is slow to import

        return stitched_accuracy(self._maps["steps"].tolist(), self._maps["train"], self._maps["val"])


def _snapshots(trainer: pl.Trainer) -> WeightSnapshots:
    return WeightSnapshots(run_folder(trainer).weights)


def _weights(module: Any) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = module.network.state_dict()
    return weights


def _maps(
    trainer: pl.Trainer, module: Any, snapshots: WeightSnapshots, steps: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies on both sets, decoder by embeddings, with one decoder at a time and all embeddings in memory."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    embeddings = [split_weights(module, snapshots.read(step))[0] for step in steps]
    decoders = (split_weights(module, snapshots.read(step))[1] for step in steps)
    plugin: Any = trainer.precision_plugin
    with plugin.forward_context():
        batch = plugin.convert_input((data.inputs, data.targets))
        rows = [
            torch.stack((correct[:, : data.num_train].double().mean(1), correct[:, data.num_train :].double().mean(1)))
            for correct in stitched_correct(module, decoders, embeddings, batch)
        ]
    train, val = torch.stack(rows, 1).nan_to_num().cpu().numpy()
    return train, val
