"""Training as in the published program of Power et al. (2022): loss, schedule, noise and weight decay."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call

from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes
from grokking_pl.training.module import GrokkingModule
from grokking_pl.training.noisy_adam import DecayKind, NoisyAdam
from grokking_pl.training.schedule import Schedule

FINAL_RATE = 0.1
"""The learning rate after annealing, relative to the peak."""


@dataclass
class PowerOptions:
    """Optimizer options of one parameter group.

    Args:
        lr: learning rate after the warm-up.
        weight_decay: strength of the weight decay.
        weight_decay_kind: "to_zero", decoupled as in AdamW; "to_init", decoupled, towards the initial weights;
            "honest", through the gradient as in Adam; "jiggle", a random factor exp(lr weight_decay n) per tensor, n
            normal.
        noise_factor: standard deviation of the noise on the update direction, whose entries are about 1.
        betas: decay rates of the two moments.
        eps: term added to the denominator.

    Raises:
        UserError: a value is out of range.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    weight_decay_kind: DecayKind = "to_zero"
    noise_factor: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("lr", "weight_decay", "noise_factor", "eps"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise UserError(f"{name} is {value}; it must be a number of at least 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas are {self.betas}; each must be at least 0 and less than 1")


class PowerModule(GrokkingModule):
    """Trains a network on equations, or on pairs with classes, as in Power et al.

    The loss is the cross entropy, averaged over the tokens after ``=``; an answer is correct if all of them are.

    Args:
        architecture: network; it gets the data's sizes as its first argument.
        embeddings: optimizer options of the embeddings.
        decoder: optimizer options of the decoder, that is of all other parameters.
        warmup_steps: steps over which the learning rate rises from 0; the first update has rate 0.
        anneal_steps: steps after the warm-up over which it falls to a tenth, as a half cosine; null for never.
        weight_noise: standard deviation of the noise on all weights in the training forward pass.
        init_seed: seed of the initial weights; null for the run's seed.
        fused: use Adam's fused kernel, the fastest; turn it off for gradient clipping in mixed precision.
        compile: compile the network; if that fails, say so and train without.

    Raises:
        UserError: an option is out of range, or weight_noise and compile are both set.
    """

    def __init__(
        self,
        architecture: Callable[[Sizes], nn.Module],
        embeddings: PowerOptions = PowerOptions(),  # noqa: B008 (shows in --help)
        decoder: PowerOptions = PowerOptions(),  # noqa: B008
        warmup_steps: int = 10,
        anneal_steps: int | None = None,
        weight_noise: float = 0.0,
        init_seed: int | None = None,
        fused: bool = True,
        compile: bool = False,
    ) -> None:
        super().__init__(architecture, "cross_entropy", init_seed=init_seed, fused=fused, compile=compile)
        if warmup_steps < 0 or (anneal_steps is not None and anneal_steps < 1):
            raise UserError(
                f"warmup_steps is {warmup_steps} and anneal_steps {anneal_steps}; give at least 0, and at least 1 or "
                "null"
            )
        if not 0 <= weight_noise < math.inf:
            raise UserError(f"weight_noise is {weight_noise}; it must be a number of at least 0")
        if weight_noise and compile:
            raise UserError("weight_noise changes the weights in every forward pass: set compile to false")
        self.embeddings_options: Any = embeddings
        self.decoder_options: Any = decoder
        schedule = Schedule(warmup_steps)
        if anneal_steps is not None:
            schedule = Schedule(warmup_steps, "cosine", anneal_steps, FINAL_RATE)
        self.schedules = {"embeddings": schedule, "decoder": schedule}
        self.weight_noise = weight_noise

    def configure_optimizers(self) -> Any:
        """One Adam with groups for embeddings and decoder, and its schedule."""
        optimizer = NoisyAdam(
            [
                {
                    "params": parameters,
                    "name": name,
                    "lr": options.lr,
                    "weight_decay": options.weight_decay,
                    "weight_decay_kind": options.weight_decay_kind,
                    "noise_factor": options.noise_factor,
                    "betas": tuple(options.betas),
                    "eps": options.eps,
                }
                for (name, parameters), options in zip(
                    self.parameter_groups().items(), (self.embeddings_options, self.decoder_options), strict=True
                )
                if parameters
            ],
            fused=self.fused,
        )
        return self.with_schedule(optimizer)

    def forward(self, inputs: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch *answers outputs"]:
        """Map a batch of inputs to the network's outputs, with noise on the weights while training."""
        if not (self.weight_noise and self.training):
            return super().forward(inputs)
        noisy = {
            name: weight + self.weight_noise * torch.randn_like(weight)
            for name, weight in self.network.named_parameters()
        }
        outputs: Tensor = functional_call(self.network, noisy, (inputs,))
        return outputs
