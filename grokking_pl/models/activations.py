"""Nonlinearities, by name or by class."""

import importlib
from collections.abc import Callable
from typing import Any, Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from grokking_pl.errors import UserError

ActivationName = Literal[
    "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "quadratic", "identity"
]
Activation = ActivationName | str | Callable[[], nn.Module]


class Quadratic(nn.Module):
    """The square x², with which modular addition has a closed-form solution (Gromov 2023)."""

    def forward(self, inputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Square every entry."""
        return inputs.square()


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "quadratic": Quadratic,
    "identity": nn.Identity,
}
assert tuple(ACTIVATIONS) == get_args(ActivationName)


def make_activation(activation: Activation) -> nn.Module:
    """Create an activation module.

    Args:
        activation: a name; the import path of a module class, such as ``torch.nn.Softplus``; or a callable that returns
            a module, such as a class. In a configuration that is a ``class_path`` with ``init_args``.

    Raises:
        UserError: the name or path is unknown, or the callable returns no module.

    >>> make_activation("leaky_relu"), make_activation("torch.nn.Hardtanh")
    (LeakyReLU(negative_slope=0.01), Hardtanh(min_val=-1.0, max_val=1.0))
    """
    make: Any = activation
    if isinstance(activation, str):
        make = ACTIVATIONS[activation] if activation in ACTIVATIONS else _imported(activation)
    try:
        made = make() if callable(make) else None
    except TypeError as error:
        raise UserError(f"activation is {activation!r}: {error}; give its class_path with init_args") from None
    if not isinstance(made, nn.Module):
        raise UserError(
            f"activation is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}, or a module class such as "
            "torch.nn.Softplus"
        )
    return made


def _imported(path: str) -> Any:
    """The module class at an import path; None if there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name) if module else None
    except (ImportError, AttributeError):
        return None
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None
