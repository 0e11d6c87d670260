"""The parts of a `grok fit` configuration that a diagram supports; all else is refused by name, before any work."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.training import GrokkingModule

CHANGES_NO_TRAINING = {
    "accelerator", "barebones", "benchmark", "check_val_every_n_epoch", "default_root_dir", "detect_anomaly",
    "enable_autolog_hparams",
    "deterministic", "devices", "enable_checkpointing", "enable_model_summary", "enable_progress_bar",
    "inference_mode", "limit_predict_batches", "limit_test_batches", "limit_val_batches", "log_every_n_steps",
    "logger", "model_registry", "num_nodes", "num_sanity_val_steps", "profiler", "strategy", "use_distributed_sampler",
    "val_check_interval",
    # A diagram has its own steps, and callbacks are checked one by one elsewhere.
    "callbacks", "max_steps",
}  # fmt: skip
"""Trainer options that change where a run trains or what is shown and kept, but not how it trains."""

DEFAULTS: dict[str, tuple[Any, ...]] = {
    "overfit_batches": (0, 0.0),
    "limit_train_batches": (1.0,),
    "fast_dev_run": (False, 0),
    "max_epochs": (-1,),
    "plugins": ([],),
    "reload_dataloaders_every_n_epochs": (0,),
    "sync_batchnorm": (False,),
}
"""Values of the other options, besides null, under which a run trains as in a diagram."""

PRECISIONS = {32: torch.float32, "32": torch.float32, "32-true": torch.float32,
              64: torch.float64, "64": torch.float64, "64-true": torch.float64}  # fmt: skip
"""Supported precisions; half precision would need a gradient scale per run."""


@dataclass(frozen=True)
class TrainerOptions:
    """Supported trainer options that change how a run trains.

    Args:
        gradient_clip_val: largest norm or value of a gradient; None for no clipping.
        gradient_clip_algorithm: "norm" or "value".
        accumulate_grad_batches: mini-batches per update.
        precision: precision of weights and computation.

    Raises:
        UserError: a value is not supported.
    """

    gradient_clip_val: float | None = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    accumulate_grad_batches: int = 1
    precision: int | str | None = None

    def __post_init__(self) -> None:
        clip, parts = self.gradient_clip_val, self.accumulate_grad_batches
        for name, is_good in (
            ("gradient_clip_val", clip is None or (_is_number(clip) and 0 <= clip < math.inf)),
            ("gradient_clip_algorithm", self.gradient_clip_algorithm in (None, "norm", "value")),
            ("accumulate_grad_batches", _is_number(parts) and parts >= 1 and parts == int(parts)),
            ("precision", self.precision is None or self.precision in PRECISIONS),
        ):
            if not is_good:
                _refuse(name, getattr(self, name))

    @classmethod
    def of(cls, trainer: Mapping[str, Any] | None) -> "TrainerOptions":
        """The supported options in a configuration's section ``trainer``."""
        names = cls.__dataclass_fields__
        return cls(**{name: value for name, value in (trainer or {}).items() if name in names and value is not None})

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return PRECISIONS.get(self.precision or 32, torch.float32)

    @property
    def clipping(self) -> str | None:
        """What to clip: ``norm`` or ``value`` of gradients; None for nothing."""
        return (self.gradient_clip_algorithm or "norm") if self.gradient_clip_val else None


HOOKS = (
    "training_step", "compute_loss", "score", "predict_class", "true_class", "configure_optimizers", "with_schedule",
    "configure_gradient_clipping", "clip_gradients", "backward", "optimizer_step", "lr_scheduler_step", "on_fit_start",
    "on_train_start", "on_train_epoch_start", "on_train_batch_start", "on_before_zero_grad", "optimizer_zero_grad",
    "on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_train_batch_end", "on_train_epoch_end",
    "on_train_end", "on_fit_end", "evaluate",
)  # fmt: skip
"""Module hooks that a Trainer calls during training, but a diagram does not."""

DATA_HOOKS = (
    "train_dataloader", "on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer",
    "state_dict", "load_state_dict",
)  # fmt: skip


def check_trainer(options: Mapping[str, Any]) -> None:
    """Raise a `UserError` for unsupported trainer options that change how a run trains."""
    if not isinstance(options, Mapping):
        raise UserError(f"the base's section trainer is {options!r}; it must hold the trainer's options by name")
    TrainerOptions.of(options)
    for name, value in options.items():
        if name in CHANGES_NO_TRAINING or name in TrainerOptions.__dataclass_fields__:
            continue
        if value is not None and value not in DEFAULTS.get(name, ()):
            _refuse(name, value)


def _refuse(name: str, value: Any) -> None:
    raise UserError(
        f"a diagram does not support trainer.{name} {value!r}, which its base sets: remove it from the base, or train "
        "with grok fit or grok sweep"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_trainable(module: Any, data: Any) -> None:
    """Raise a `UserError` unless module and data use this project's methods for a training step."""
    if not isinstance(data, TensorDataModule) or not isinstance(module, GrokkingModule):
        raise UserError(
            f"a diagram trains a GrokkingModule on a TensorDataModule, not {type(module).__name__} on "
            f"{type(data).__name__}: derive from these, or use grok fit"
        )
    for part, base, hooks in ((module, GrokkingModule, HOOKS), (data, TensorDataModule, DATA_HOOKS)):
        for name in hooks:
            if name in vars(part) or getattr(type(part), name, None) is not getattr(base, name, None):
                raise UserError(f"{type(part).__name__} overrides {name}, which only grok fit supports")
