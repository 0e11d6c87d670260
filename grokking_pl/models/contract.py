"""What an architecture shows of itself, and what it requires of the data.

It shows the parameters of its embeddings, the embeddings, and how two are combined.
"""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes


def embedding_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters of the optimizer's group ``embeddings``: what the network's method of this name yields.

    A network without that method has the parameters of its attribute ``embeddings`` in the group.

    Raises:
        UserError: it has neither.
    """
    own: Any = getattr(network, "embedding_parameters", None)
    if own is not None:
        return list(own())
    shown = getattr(network, "embeddings", None)
    if isinstance(shown, nn.Parameter):
        return [shown]
    if isinstance(shown, nn.Module):
        return list(shown.parameters())
    kind = type(network).__name__
    tables = [name for name, module in network.named_modules() if isinstance(module, nn.Embedding)]
    yields = f"return self.{tables[0]}.parameters()" if tables else "return []"
    raise UserError(
        f"{kind} does not say which of its parameters are embeddings: add to the class "
        f"'def embedding_parameters(self): {yields}'; all other parameters belong to the decoder"
    )


def embeddings_if_any(network: nn.Module) -> Float[Tensor, "p d"] | None:
    """The embeddings of the symbols: the network's attribute ``embeddings``, a tensor or an ``nn.Embedding``."""
    shown: Any = getattr(network, "embeddings", None)
    return shown.weight if isinstance(shown, nn.Embedding) else shown


def embeddings_of(network: nn.Module) -> Float[Tensor, "p d"]:
    """The embeddings of the symbols.

    Raises:
        UserError: the network has none.
    """
    embeddings = embeddings_if_any(network)
    if embeddings is None:
        kind = type(network).__name__
        raise UserError(
            f"{kind} has no embeddings, so it has no representation: remove the callback, choose an architecture "
            "that embeds symbols, or, if this one does, let its attribute embeddings be their table"
        )
    return embeddings


def combines(network: nn.Module) -> bool:
    """Whether the network declares how it combines two embeddings: whether it has a method ``combine``."""
    return callable(getattr(network, "combine", None))


def combination_of(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """How two embeddings are combined: the network's method ``combine``.

    For a network without it, the function that is returned raises a `UserError` when it is called.
    """
    if combines(network):
        own: Callable[[Tensor, Tensor], Tensor] = network.combine  # type: ignore[assignment]
        return own
    kind = type(network).__name__

    def undeclared(left: Tensor, right: Tensor) -> Tensor:
        raise UserError(
            f"{kind} does not declare how it combines two embeddings: if its decoder's input is, say, their sum, add "
            "to the class 'def combine(self, left, right): return left + right'"
        )

    return undeclared


def require_symbols(sizes: Sizes, architecture: str, sequences: bool = False) -> None:
    """Raise a `UserError` if the data are vectors, or sequences of tokens where the architecture reads only pairs."""
    if sizes.symbols == 0:
        raise UserError(f"{architecture} embeds pairs of symbols, but the data are vectors: choose MLP, or other data")
    if sizes.tokens and not sequences:
        raise UserError(f"{architecture} reads pairs of symbols, but the data are equations: choose Transformer")
