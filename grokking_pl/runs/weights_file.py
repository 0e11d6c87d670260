"""Weights by name in safetensors files, which other programs can read and which contain no code."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from grokking_pl.errors import UserError
from grokking_pl.runs.files import write_atomically, writing


def write_weights(weights: nn.Module | Mapping[str, Tensor], path: str | Path) -> None:
    """Write a network's weights, or any tensors by name, as safetensors, atomically.

    Args:
        weights: network, whose ``state_dict`` is written, or a state dict, such as that of `to_transformer_lens`.
        path: file, usually ending in ``.safetensors``; an existing one is replaced.

    Raises:
        UserError: a value is not a tensor, the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    wrong = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if wrong:
        raise UserError(f"{wrong[0]} is {type(state[wrong[0]]).__name__} and no tensor, so that {path} cannot hold it")
    # The format does not support tensors that share memory, such as tied weights.
    content = save({name: value.detach().cpu().clone().contiguous() for name, value in state.items()})
    with writing(path, "make room, or choose another folder"):
        write_atomically(path, content)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, by name, on the CPU; no code is run.

    Load them into a network of the same kind with its ``load_state_dict``; with the names of TransformerLens, convert
    them to our transformer with `from_transformer_lens`.

    Raises:
        UserError: there is no such file, or it is damaged or of another format.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist: give a file of safetensors")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is damaged or no file of safetensors ({reason})") from None
