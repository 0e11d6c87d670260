"""Logit margins, and training samples with zero loss."""

from typing import Any

import lightning.pytorch as pl
import torch

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import require_scores
from grokking_pl.callbacks.sample_shares import EVALUATION_CHUNK
from grokking_pl.errors import UserError
from grokking_pl.metrics import logit_margins, zero_loss_share


class LogitMargin(Measurement):
    """Logs the mean and least margin of the correct logit, and the fraction of training losses that are exactly 0.

    The columns are ``train_margin``, ``val_margin``, ``least_train_margin`` and ``zero_losses``, the fraction of
    training samples whose loss is exactly 0 because the softmax has collapsed. Each process evaluates all samples, in
    one forward pass.

    Args:
        every_n_steps: steps between measurements.

    Raises:
        UserError: every_n_steps is not positive, targets are vectors, or samples have several answers.
    """

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that targets are classes."""
        require_scores(trainer, "LogitMargin")
        data = trainer.datamodule  # type: ignore[attr-defined]
        if data.class_targets is not None or data.targets.ndim != 1:
            raise UserError(
                "LogitMargin needs one class number per sample as the target: set the data's targets to class"
            )

    @torch.no_grad()
    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current margins and zero losses."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        plugin: Any = trainer.precision_plugin
        was_training = pl_module.network.training
        pl_module.network.eval()
        margins, losses = [], []
        with plugin.forward_context():
            parts = (values.split(EVALUATION_CHUNK) for values in (data.inputs, data.targets))
            for inputs, targets in zip(*parts, strict=True):
                outputs = pl_module.scaled(pl_module.network.forward(plugin.convert_input(inputs)))
                margins.append(logit_margins(outputs.float(), targets))
                losses.append(pl_module.score(outputs, targets)[0])
        pl_module.network.train(was_training)
        both, train = torch.cat(margins), data.num_train
        values = {"train_margin": float(both[:train].mean()), "least_train_margin": float(both[:train].min())}
        if train < len(both):
            values["val_margin"] = float(both[train:].mean())
        return {**values, "zero_losses": float(zero_loss_share(torch.cat(losses)[:train]))}
