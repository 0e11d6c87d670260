"""What a population honours of a configuration of ``grok fit``; all else is refused by name, before any work."""

from collections.abc import Mapping
from typing import Any

from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.training import GrokkingModule

CHANGES_NO_TRAINING = {
    "accelerator", "barebones", "benchmark", "check_val_every_n_epoch", "default_root_dir", "detect_anomaly",
    "deterministic", "devices", "enable_checkpointing", "enable_model_summary", "enable_progress_bar",
    "inference_mode", "limit_predict_batches", "limit_test_batches", "limit_val_batches", "log_every_n_steps",
    "logger", "num_nodes", "num_sanity_val_steps", "profiler", "strategy", "use_distributed_sampler",
    "val_check_interval",
    # A diagram has steps of its own, and callbacks are judged one by one, elsewhere.
    "callbacks", "max_steps",
}  # fmt: skip
"""Options of the trainer that change where, or what is shown and kept of it, but not how a run trains."""

DEFAULTS: dict[str, tuple[Any, ...]] = {
    "accumulate_grad_batches": (1,),
    "gradient_clip_val": (0, 0.0),
    "overfit_batches": (0, 0.0),
    "limit_train_batches": (1.0,),
    "precision": (32, "32", "32-true"),
    "fast_dev_run": (False, 0),
    "max_epochs": (-1,),
    "plugins": ([],),
    "reload_dataloaders_every_n_epochs": (0,),
    "sync_batchnorm": (False,),
}
"""Values of the other options with which a run trains as a population does, besides null."""

HOOKS = (
    "training_step", "compute_loss", "score", "predict_class", "true_class", "configure_optimizers", "with_schedule",
    "configure_gradient_clipping", "clip_gradients", "backward", "optimizer_step", "lr_scheduler_step", "on_fit_start",
    "on_train_start", "on_train_epoch_start", "on_train_batch_start", "on_before_zero_grad", "optimizer_zero_grad",
    "on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_train_batch_end", "on_train_epoch_end",
    "on_train_end", "on_fit_end", "evaluate",
)  # fmt: skip
"""What a Trainer calls of a module while it trains, and a population does not."""

DATA_HOOKS = (
    "train_dataloader", "on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer",
    "state_dict", "load_state_dict",
)  # fmt: skip


def check_trainer(options: Mapping[str, Any]) -> None:
    """Raise a `UserError` for an option of the trainer that changes how a run trains."""
    if not isinstance(options, Mapping):
        raise UserError(f"the base's section trainer is {options!r}; it must hold the trainer's options by name")
    for name, value in options.items():
        if name not in CHANGES_NO_TRAINING and value is not None and value not in DEFAULTS.get(name, ()):
            raise UserError(
                f"a diagram cannot honour trainer.{name} {value!r}, which its base asks for: remove it from the base, "
                "or train with grok fit or grok sweep"
            )


def check_trainable(module: Any, data: Any) -> None:
    """Raise a `UserError` unless module and data train as populations do: no method of a step is a user's own."""
    if not isinstance(data, TensorDataModule) or not isinstance(module, GrokkingModule):
        raise UserError(
            f"a population trains a GrokkingModule on a TensorDataModule, and not {type(module).__name__} on "
            f"{type(data).__name__}: derive them from these, or use grok fit"
        )
    for part, base, hooks in ((module, GrokkingModule, HOOKS), (data, TensorDataModule, DATA_HOOKS)):
        for name in hooks:
            if name in vars(part) or getattr(type(part), name, None) is not getattr(base, name, None):
                raise UserError(f"{type(part).__name__} has a {name} of its own, which only grok fit can train")
