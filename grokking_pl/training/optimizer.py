"""One optimizer for both parts of a network: AdamW with options for each, or any optimizer class."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from grokking_pl.errors import UserError
from grokking_pl.training import lion  # noqa: F401 (registers the short name Lion)
from grokking_pl.training.jsonargparse_internals import adapt_parser
from grokking_pl.training.several_optimizers import SeveralOptimizers

adapt_parser()

GROUPS = ("embeddings", "decoder")
"""Groups of a network's parameters, each with options of its own."""


@dataclass
class GroupOptions:
    """Options of AdamW or Adam for one parameter group.

    Args:
        lr: learning rate.
        weight_decay: strength of the weight decay.
        decoupled: decay the weights directly, as in AdamW; otherwise through the gradient, as in Adam.
        betas: decay rates of the two moments.
        eps: term added to the denominator.

    Raises:
        UserError: a value is out of range.
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


OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
"""Makes an optimizer from parameters or groups: any optimizer class with its options."""

Optimization = GroupOptions | OptimizerFactory
"""Optimizer settings of one parameter group."""

PLAIN = (bool, int, float, str, tuple, type(None))


@dataclass
class _Part:
    """Parameters of one group updated by one optimizer."""

    make: OptimizerFactory
    kind: type[Optimizer]
    attributes: dict[str, Any]
    group: dict[str, Any]

    def is_like(self, other: "_Part") -> bool:
        """Whether one optimizer can hold both as groups, because they differ only in group options."""
        return self.kind is other.kind and self.attributes == other.attributes


def build_optimizer(
    parameters: Mapping[str, Iterable[nn.Parameter]],
    optimization: Mapping[str, Optimization],
    fused: bool = True,
    separate: bool = False,
) -> Optimizer:
    """Build the optimizer of a network's groups, each with the group's name.

    ``torch.optim.Adam`` has decoupled weight decay as a group option, so one optimizer can be exactly Adam for one
    group and AdamW for another. Likewise, groups of the same optimizer class share one optimizer. Other combinations
    use `SeveralOptimizers`. Groups without parameters are left out.

    Muon updates only matrices. As usual, everything else in its group (biases, gains) is updated by AdamW with the same
    learning rate and weight decay, as a separate group whose name ends in ``_vectors``.

    Args:
        parameters: parameters of each group.
        optimization: optimizer settings of each group.
        fused: use Adam's fused kernel.
        separate: give each group its own optimizer.

    Raises:
        UserError: an optimizer cannot be made with its options, or not combined with another.
    """
    parts = [
        part
        for name, weights in parameters.items()
        for part in _parts(name, list(weights), optimization[name], fused)
        if part.group["params"]
    ]
    alike: list[list[_Part]] = []
    for part in parts:
        fitting = [group for group in alike if group[0].is_like(part) and not separate]
        if fitting:
            fitting[0].append(part)
        else:
            alike.append([part])
    optimizers = [_make(group[0].make, [part.group for part in group]) for group in alike]
    return optimizers[0] if len(optimizers) == 1 else SeveralOptimizers(optimizers)


def resolve(optimization: Optimization, fused: bool = False) -> tuple[type[Optimizer], dict[str, Any]]:
    """The class of an optimizer, and all of its options for one group.

    Raises:
        UserError: it cannot be made with its options.
    """
    part = _part("", [nn.Parameter(torch.zeros(1, 1))], optimization, fused)
    return part.kind, {name: value for name, value in part.group.items() if name not in ("params", "name")}


def _parts(name: str, weights: list[nn.Parameter], optimization: Optimization, fused: bool) -> list[_Part]:
    part = _part(name, weights, optimization, fused)
    vectors = [weight for weight in weights if weight.dim() != 2]
    if part.kind is not torch.optim.Muon or not vectors:
        return [part]
    part.group["params"] = [weight for weight in weights if weight.dim() == 2]
    options = GroupOptions(part.group["lr"], part.group["weight_decay"])
    rest = _part(f"{name}_vectors", vectors, options, fused)
    return [part, rest]


def _part(name: str, weights: list[nn.Parameter], optimization: Optimization, fused: bool) -> _Part:
    make: OptimizerFactory = partial(torch.optim.Adam, fused=fused)
    if isinstance(optimization, GroupOptions):
        options = {
            "lr": optimization.lr,
            "weight_decay": optimization.weight_decay,
            "decoupled_weight_decay": optimization.decoupled,
            "betas": tuple(optimization.betas),
            "eps": optimization.eps,
        }
        return _Part(make, torch.optim.Adam, {}, {"params": weights, "name": name, **options})
    trial = _make(optimization, [{"params": [nn.Parameter(torch.zeros(1, 1))]}])
    options = {option: value for option, value in trial.param_groups[0].items() if option != "params"}
    # Attributes outside the groups are shared by all groups.
    attributes = {key: value for key, value in vars(trial).items() if isinstance(value, PLAIN) and key[0] != "_"}
    return _Part(optimization, type(trial), attributes, {"params": weights, "name": name, **options})


def _make(make: OptimizerFactory, groups: list[dict[str, Any]]) -> Optimizer:
    try:
        return make(groups)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        kind = getattr(make, "args", None) or (make,)
        raise UserError(
            f"{getattr(kind[-1], '__name__', 'the optimizer')} cannot be made ({' '.join(str(error).split())}): change "
            "its options in model.embeddings or model.decoder"
        ) from error
