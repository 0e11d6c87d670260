"""The LightningModule for all architectures: loss, accuracy, and the optimizer's two groups."""

import math
import sys
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float, Int, Shaped
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torchmetrics import MeanMetric

from grokking_pl.data.batches import Batch
from grokking_pl.errors import UserError
from grokking_pl.metrics.representation import Representation
from grokking_pl.models.contract import combination_of, combines, embedding_parameters, embeddings_if_any, embeddings_of
from grokking_pl.sizes import Sizes
from grokking_pl.training import objective
from grokking_pl.training.lightning_internals import QuickHookName
from grokking_pl.training.losses import Loss, LossName, check_targets, loss_of
from grokking_pl.training.optimizer import GroupOptions, OptimizerFactory, build_optimizer, resolve
from grokking_pl.training.plain_settings import plain_settings
from grokking_pl.training.schedule import LRSchedulerFactory, Schedule, advance, schedule_optimizer
from grokking_pl.training.subnormal import are_subnormals_flushed, flush_subnormals

SMALL_STEP = 5_000_000
"""Weights times samples per batch below which a step on a CPU is too short for several threads."""


class GrokkingModule(QuickHookName, pl.LightningModule):
    """Trains any architecture on any datamodule of this project.

    Args:
        architecture: network; it gets the data's sizes as its first argument.
        loss: mse, the mean squared error over samples and output dimensions; cross_entropy; or a `Loss` class.
        embeddings: optimizer of the embeddings: options of AdamW (Adam if weight decay is 0, the default), or any
            optimizer class, such as SGD or Lion. Muon updates the matrices of a group, and AdamW with the same learning
            rate and weight decay everything else.
        decoder: optimizer of the decoder, that is of all other parameters.
        schedule: learning rate schedule: a warm-up and a decay, or any class of torch.optim.lr_scheduler, stepped every
            step; null for constant rates.
        embeddings_schedule: schedule of the embeddings, if different.
        decoder_schedule: schedule of the decoder, if different.
        init_seed: seed of the initial weights; null for the run's seed.
        fused: use Adam's fused kernel, the fastest; turn it off for gradient clipping in mixed precision.
        compile: compile the network with torch.compile; if that fails, say so and train without.
        output_scale: factor on the network's outputs, for the loss and everything else.

    Raises:
        UserError: the loss is unknown, or the scale is not above 0.
    """

    class_targets: Float[Tensor, "classes outputs"] | None
    network: nn.Module
    run_seed: int = 0
    """The seed of the run; commands set it to ``seed_everything``."""

    def __init__(
        self,
        architecture: Callable[[Sizes], nn.Module],
        loss: Loss | LossName = "mse",
        embeddings: GroupOptions | OptimizerFactory = GroupOptions(),  # noqa: B008 (shows in --help)
        decoder: GroupOptions | OptimizerFactory = GroupOptions(),  # noqa: B008
        schedule: Schedule | LRSchedulerFactory | None = None,
        embeddings_schedule: Schedule | LRSchedulerFactory | None = None,
        decoder_schedule: Schedule | LRSchedulerFactory | None = None,
        init_seed: int | None = None,
        fused: bool = True,
        compile: bool = False,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.architecture = architecture
        self.loss = loss_of(loss)
        if not 0 < output_scale < math.inf:
            raise UserError(f"output_scale is {output_scale}; it must be a number above 0")
        self.output_scale = output_scale
        for optimization in (embeddings, decoder):
            resolve(optimization)  # fail early if it cannot be made
        self.embeddings_options = embeddings
        self.decoder_options = decoder
        self.schedules = {"embeddings": embeddings_schedule or schedule, "decoder": decoder_schedule or schedule}
        self.init_seed = init_seed
        self.fused = fused
        self._compiling = compile
        self._compiler_failed = False
        self._classified: tuple[Tensor, Tensor] | None = None

    # Building: the sizes are known once the data are set up.

    def configure_model(self) -> None:
        """Build the network and the metrics for the datamodule's sizes.

        Without a trainer there is no datamodule: ``load_from_checkpoint`` takes the sizes from the checkpoint.
        """
        if hasattr(self, "network"):
            return
        try:
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        except RuntimeError:  # there is no trainer
            return
        self.build(data.sizes, data.class_targets)

    def build(self, sizes: Sizes, class_targets: Float[Tensor, "classes outputs"] | None) -> None:
        """Build the network, with weights determined by the seed alone.

        Raises:
            UserError: the loss does not fit the targets.
        """
        check_targets(self.loss, class_targets)
        seed = self.run_seed if self.init_seed is None else self.init_seed
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.network = self.architecture(sizes)
        if self._compiling:
            self.network.compile()
        self.sizes = sizes
        self.register_buffer("class_targets", class_targets, persistent=False)
        self.val_accuracy = MeanMetric()
        self.val_loss = MeanMetric()

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The network's parameters by group: ``embeddings`` and ``decoder``."""
        embeddings = embedding_parameters(self.network)
        taken = {id(parameter) for parameter in embeddings}
        return {
            "embeddings": embeddings,
            "decoder": [parameter for parameter in self.network.parameters() if id(parameter) not in taken],
        }

    @property
    def embeddings_rate(self) -> float:
        """The learning rate of the embeddings, before any schedule."""
        options = self.embeddings_options
        return float(options.lr if hasattr(options, "lr") else resolve(options)[1]["lr"])

    def configure_optimizers(self) -> Any:
        """One optimizer with groups for embeddings and decoder, and its schedule if there is one."""
        optimization = {"embeddings": self.embeddings_options, "decoder": self.decoder_options}
        separate = self.schedules["embeddings"] is not self.schedules["decoder"]
        optimizer = build_optimizer(self.parameter_groups(), optimization, self.fused, separate)
        return self.with_schedule(optimizer)

    def with_schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        """An optimizer and its schedule, if there is one, as returned by ``configure_optimizers``.

        Raises:
            UserError: the optimizer cannot update this network, or not with the trainer's clipping and precision.
        """
        self._check_optimizer(optimizer)
        if not any(self.schedules.values()):
            return optimizer
        steps = self.trainer.max_steps if self.trainer.max_epochs == -1 else self.trainer.estimated_stepping_batches
        return schedule_optimizer(optimizer, self.schedules, int(steps) if 0 < steps < float("inf") else None)

    def _check_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Raise a `UserError` where the first update would fail."""
        is_sparse = any(getattr(layer, "sparse", False) for layer in self.network.modules())
        for each in getattr(optimizer, "optimizers", (optimizer,)):
            if isinstance(each, torch.optim.SparseAdam) and not is_sparse:
                raise UserError(
                    "SparseAdam is for sparse gradients, and no layer of this network has any: use Adam instead"
                )
        try:
            trainer = self.trainer
        except RuntimeError:  # there is none
            return
        is_fused = any(group.get("fused") for group in optimizer.param_groups)
        if trainer.gradient_clip_val and isinstance(trainer.precision_plugin, MixedPrecision) and is_fused:
            raise UserError(
                f"trainer.gradient_clip_val is {trainer.gradient_clip_val}, but Adam's fused kernel cannot clip in the "
                f"precision {trainer.precision}: give --model.fused false"
            )

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the schedule, unless it is over."""
        advance(scheduler)

    @property
    def has_representation(self) -> bool:
        """Whether the architecture has embeddings."""
        return embeddings_if_any(self.network) is not None

    @property
    def has_combination(self) -> bool:
        """Whether the architecture declares how it combines two embeddings."""
        return combines(self.network)

    @property
    def representation(self) -> Representation:
        """The embeddings and how they are combined, detached, for callbacks and metrics.

        Combining embeddings raises a `UserError` if the architecture does not declare how.

        Raises:
            UserError: the architecture has no embeddings.
        """
        return Representation(embeddings_of(self.network).detach(), combination_of(self.network))

    # Loss and prediction.

    def forward(self, inputs: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch *answers outputs"]:
        """Map a batch of inputs to the network's outputs, scaled."""
        outputs: Tensor = self._call_compiled(inputs) if self._compiling else self.network(inputs)
        return self.scaled(outputs)

    def scaled(self, outputs: Float[Tensor, "batch *answers outputs"]) -> Float[Tensor, "batch *answers outputs"]:
        """The outputs used by loss and prediction: the network's, times `output_scale`."""
        return outputs if self.output_scale == 1 else outputs * self.output_scale

    def _call_compiled(self, inputs: Shaped[Tensor, "batch ..."]) -> Tensor:
        """Call the network compiled, at first use; uncompiled once the compiler has failed."""
        if self._compiler_failed:
            return self._call_eagerly(inputs)
        try:
            outputs: Tensor = self.network(inputs)
        except RuntimeError as error:
            outputs = self._call_eagerly(inputs)  # if the network itself is at fault, this fails too
            print(f"training without torch.compile: {type(error).__name__}", file=sys.stderr)
            self._compiler_failed = True
        return outputs

    def _call_eagerly(self, inputs: Shaped[Tensor, "batch ..."]) -> Tensor:
        with torch.compiler.set_stance("force_eager"):
            outputs: Tensor = self.network(inputs)
        return outputs

    def compute_loss(
        self, outputs: Float[Tensor, "batch *answers outputs"], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, ""]:
        """The loss on a batch, averaged over its samples."""
        return objective.batch_loss(self.loss, outputs, targets)

    def predict_class(self, outputs: Float[Tensor, "batch *answers outputs"]) -> Int[Tensor, " batch *answers"]:
        """The predicted class: the largest output, or in regression the class with the nearest target vector."""
        return objective.predicted_class(outputs, self.class_targets)

    def true_class(self, targets: Shaped[Tensor, "batch ..."]) -> Int[Tensor, " batch *answers"]:
        """The class of each target."""
        if (
            self._classified is None or targets is not self._classified[0]
        ):  # the targets are the same at every evaluation
            self._classified = (targets, objective.true_class(targets, self.class_targets))
        return self._classified[1]

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> tuple[Float[Tensor, " samples"], Bool[Tensor, " samples"]]:
        """Loss and correctness of every sample, in evaluation mode and the trainer's precision.

        Mode and random generators are left unchanged.
        """
        inputs, targets = self.trainer.precision_plugin.convert_input(batch)
        was_training = self.training
        self._set_mode(False)
        with self.trainer.precision_plugin.forward_context():
            outputs = self(inputs)
        self._set_mode(was_training)
        return self.score(outputs, targets)

    def _set_mode(self, training: bool) -> None:
        """Like ``train``, without the metrics, which have no mode and take longer than a small network."""
        self.training = training
        self.network.train(training)

    def score(
        self, outputs: Float[Tensor, "batch *answers outputs"], targets: Shaped[Tensor, "batch ..."]
    ) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
        """Loss and correctness of each sample."""
        losses = objective.sample_losses(self.loss, outputs, targets)
        return losses, objective.is_correct(self.predict_class(outputs), self.true_class(targets))

    # Lightning's hooks.

    def on_fit_start(self) -> None:
        """Flush subnormals; use one thread if the network is so small that several would mostly wait for each other."""
        self._flushed = are_subnormals_flushed()
        flush_subnormals(True)
        self._threads = torch.get_num_threads()
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        batch: Any = getattr(data, "batch_size", None) or getattr(data, "num_train", SMALL_STEP)
        if self.device.type == "cpu" and batch * sum(p.numel() for p in self.network.parameters()) < SMALL_STEP:
            torch.set_num_threads(1)

    def on_fit_end(self) -> None:
        """Restore the number of threads, and how subnormals are treated."""
        torch.set_num_threads(self._threads)
        flush_subnormals(self._flushed)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step's random numbers (dropout) from the seed and the step.

        So neither interruptions nor random numbers drawn between steps change the training.
        """
        parts = self.trainer.accumulate_grad_batches
        number = self.trainer.global_step * parts + batch_idx % parts
        seed = self.run_seed * 1_000_003 + number * self.trainer.world_size + self.global_rank
        # torch.manual_seed would also queue a call, with its stack trace, for every unused GPU.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Like the optimizer's ``zero_grad``, without its profiler record, which takes longer."""
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def training_step(self, batch: Batch, batch_idx: int) -> Float[Tensor, ""]:
        """The loss on one batch."""
        inputs, targets = batch
        if self.trainer.world_size == 1:
            loss = self.compute_loss(self(inputs), targets)
        else:
            loss = self._loss_of_share(inputs, targets)
        penalty = getattr(self.network, "penalty", None)
        return loss if penalty is None else loss + penalty()

    def _loss_of_share(
        self, inputs: Shaped[Tensor, "batch ..."], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, ""]:
        """The loss of the whole batch, of which this process has a share, with the gradient of that share.

        Shares can differ by one sample. The processes average their gradients to that of the whole batch.
        """
        loss = self.compute_loss(self(inputs), targets)
        # Half precision cannot count the samples.
        value = loss.detach().to(torch.promote_types(loss.dtype, torch.float32))
        sums = torch.stack((value, torch.ones_like(value))) * len(inputs)
        total, samples = self.trainer.strategy.reduce(sums, reduce_op="sum")
        share = loss * (len(inputs) * self.trainer.world_size / samples)
        return share - share.detach() + total / samples

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the validation loss and accuracy, exact for any batch and process sizes."""
        self._evaluation_step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the test loss and accuracy."""
        self._evaluation_step(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Int[Tensor, " batch *answers"]:
        """The predicted class of each sample."""
        return self.predict_class(self(batch[0]))

    def _evaluation_step(self, batch: Batch, prefix: str) -> None:
        losses, correct = self.score(self(batch[0]), batch[1])
        self.val_loss.update(losses)
        self.val_accuracy.update(correct.float())
        metrics = {f"{prefix}_loss": self.val_loss, f"{prefix}_accuracy": self.val_accuracy}
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(losses), logger=self._logs_validation)

    @property
    def _logs_validation(self) -> bool | None:
        """Lightning's default; during training ``PhaseTracker`` logs instead, at its own steps."""
        return False if self.trainer.state.fn == "fit" else None

    # Checkpoints.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the sizes, so that a checkpoint loads without its data, and the arguments as plain settings."""
        key = self.CHECKPOINT_HYPER_PARAMS_KEY
        checkpoint[key] = plain_settings(self, checkpoint.get(key, {}))
        checkpoint["sizes"] = vars(self.sizes)
        checkpoint["class_targets"] = self.class_targets

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint is of this architecture.

        Raises:
            UserError: names or shapes of the weights differ.
        """
        if not hasattr(self, "network"):
            self.build(Sizes(**checkpoint["sizes"]), checkpoint["class_targets"])
        ours = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        theirs = {name: tuple(value.shape) for name, value in checkpoint["state_dict"].items()}
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                raise UserError(
                    f"the checkpoint is from another architecture: {name} is {theirs.get(name, 'absent')} there and "
                    f"{ours.get(name, 'absent')} here: use the configuration it was trained with"
                )
