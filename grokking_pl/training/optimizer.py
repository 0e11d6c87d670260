"""One Adam for both parts of a network: Adam for the embeddings, AdamW for the decoder."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from grokking_pl.errors import UserError


@dataclass
class GroupOptions:
    """How one group of parameters is optimised.

    Args:
        lr: learning rate.
        weight_decay: strength of the weight decay.
        decoupled: decay the weights directly, as AdamW does; otherwise through the gradient, as Adam does.
        betas: decay rates of the two moments.
        eps: term added to the denominator.

    Raises:
        UserError: a value is out of its range.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    decoupled: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        for name, value in (("lr", self.lr), ("weight_decay", self.weight_decay), ("eps", self.eps)):
            if not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise UserError(f"{name} is {value}; it must be a number of at least 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas are {self.betas}; each must be at least 0 and less than 1")


def two_group_adam(
    embeddings: Iterable[nn.Parameter],
    decoder: Iterable[nn.Parameter],
    embeddings_options: GroupOptions,
    decoder_options: GroupOptions,
    fused: bool = True,
) -> torch.optim.Adam:
    """Build the optimizer with the groups ``embeddings`` and ``decoder``.

    ``torch.optim.Adam`` decides on decoupled weight decay group by group, so one optimizer is Adam for the one and
    AdamW for the other, to the bit, and Lightning's automatic optimization counts one step a step. A group without
    parameters is left out.
    """
    groups = [
        {
            "params": list(parameters),
            "name": name,
            "lr": options.lr,
            "weight_decay": options.weight_decay,
            "decoupled_weight_decay": options.decoupled,
            "betas": tuple(options.betas),
            "eps": options.eps,
        }
        for name, parameters, options in (
            ("embeddings", embeddings, embeddings_options),
            ("decoder", decoder, decoder_options),
        )
    ]
    return torch.optim.Adam([group for group in groups if group["params"]], fused=fused)
