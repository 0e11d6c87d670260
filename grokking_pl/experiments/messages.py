"""A parser's message, which may be pages long, as one line that names the nearest right option."""

import difflib
import inspect
import re
from collections.abc import Iterable
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers.logger import Logger

from grokking_pl.training import GroupOptions


def one_line(message: str, options: Iterable[str] = ()) -> str:
    """Condense a parser's message to one line; for a name that does not exist, add the nearest that does.

    Args:
        message: what the parser says.
        options: the names that it knows, besides those of all classes that are loaded.
    """
    text = re.sub(r"\s+", " ", message).strip()
    text = re.sub(r"<class '([\w.]+)'>", r"\1", text)
    if re.fullmatch(r"the following arguments are required: model", text):
        return "nothing says what to train: give a configuration with --config, for example configs/mnist_grok.yaml"
    absent = re.match(r"Parser key \"config\": File does not exist: '?([^']+)'?", text)
    if absent:
        path = Path(absent[1])
        near = difflib.get_close_matches(path.name, [file.name for file in path.parent.glob("*.yaml")], n=1)
        return f"there is no configuration {absent[1]}" + (f": did you mean {path.with_name(near[0])}?" if near else "")
    missing = re.search(r"(module '[\w.]+' has no attribute '\w+'|No module named '[\w.]+')", text)
    if missing:
        return f"{missing[1]}: a class_path is the module's name, a dot and the class's name"
    unknown = re.search(r"(?:unrecognized arguments: --|[Oo]ption '|[Kk]ey ')([\w.]+)", text)
    if unknown and not text.startswith("Parser key"):
        text = f"there is no option {unknown[1]}"
        known = [name for name in (*options, *_options_of_classes()) if name != unknown[1]]  # of another class
        near = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.7)
        if near:
            text += f": did you mean {near[0]}?"
    return text


def _options_of_classes() -> list[str]:
    """The options of every architecture, module, datamodule, callback and logger that is loaded."""
    names: set[str] = set()
    waiting: list[type] = [LightningModule, LightningDataModule, Callback, Logger, torch.nn.Module, GroupOptions]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if not cls.__module__.startswith(("torch", "lightning")):
            names |= set(inspect.signature(cls).parameters)
    return sorted(names)
