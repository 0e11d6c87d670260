"""Parser messages, which may be pages long, condensed to one line that names the nearest valid option."""

import difflib
import inspect
import pydoc
import re
import sys
from collections.abc import Sequence

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers.logger import Logger

from grokking_pl.training import GroupOptions, Loss, Schedule

OF_KIND = (
    "Expected a|Not a valid subclass of|Import path does not correspond to a subclass of|"
    # For a class_path or init_args of the wrong type:
    "argument of type|unhashable type|Problem with given class_path .* object has no attribute 'keys'|"
    "Type .* expects a function or a callable class: Expected (an import path|.* to be a subclass of)|"
    "Subclasses are disabled for"
)
"""Parser messages for each type that does not match a value."""

INSIDE = (
    r'Parser key "[\w.]+": .*?Problem with given class_path \S+: (Parser key .*) - Expected a NoneType Given .*',
    r'Parser key "[\w.]+": Problem with given class_path \S+: (Parser key .*)',
    r'Parser key "[\w.]+": .*? expects a function or a callable class: (Parser key .*)\. Got value: Namespace\(.*',
)
"""Messages about a class that hold the message about one of its options."""

OF_YOUR_OWN = "one of your own needs its module too, as in my_file.{}"
"""What to do for a name that is no class of this project or its libraries."""

WITHOUT_SECTION = {
    "optimizer": (
        "there is no option optimizer: each group of a GrokkingModule has its own, as --model.decoder=SGD "
        "--model.decoder.lr=0.1 and the same for embeddings; another module has its own configure_optimizers"
    ),
    "lr_scheduler": (
        "there is no option lr_scheduler: a GrokkingModule has its own, as --model.schedule=CosineAnnealingLR "
        "--model.schedule.T_max=1000; another module has its own configure_optimizers"
    ),
}
"""Messages for LightningCLI's optimizer and schedule sections, which belong to the module here."""


def one_line(message: str) -> str:
    """Condense a parser message to one line; for an unknown option, add the nearest option of any class."""
    text = _condensed(message)
    if re.fullmatch(r"the following arguments are required: model", text):
        return (
            "there is no model to train or to measure: give a configuration with --config, such as "
            "configs/mnist_grok.yaml, or RUN/config.yaml of a run"
        )
    required = re.fullmatch(r"the following arguments are required: ([\w., ]+)", text)
    if required:
        return f"{required[1]} is missing: give it as an option, or in a configuration with --config"
    absent = re.match(r"Parser key \"config\": File does not exist: '?([^']+)'?", text)
    if absent:
        return f"there is no configuration {absent[1]}"
    unknown = unknown_option(message)
    if unknown is None and (wrong := _wrong_value(text)):
        return wrong
    if no_help := _without_help(text):
        return no_help
    missing = re.search(r"(module '([\w.]+)' has no attribute '(\w+)'|No module named '[\w.]+')", text)
    if missing and missing[2] and (meant := near_in_module(missing[2], missing[3])):
        return f"{missing[1]}: did you mean {meant}?"
    if missing:
        return (
            f"{missing[1]}: a class_path is the module's name, a dot and the class's name, and the module's imports "
            "must be installed"
        )
    syntax = re.search(r"- ([^-]+) \(([^()]+\.py), line (\d+)\)", text)
    if syntax:
        return f"{syntax[2]}, line {syntax[3]}, is not valid Python: {syntax[1]}"
    if unknown is None:
        return text
    near = difflib.get_close_matches(unknown, [name for name in options_of_classes() if name != unknown], n=1)
    return no_option(unknown, near)


def unknown_option(message: str) -> str | None:
    """The name of the unknown option that a parser message is about; None for other messages."""
    text = _condensed(message)
    refused = re.search(r"[Oo]ption '([\w.]+)' is not accepted", text)
    unknown = refused or (
        None if text.startswith("Parser key") else re.search(r"(?:unrecognized arguments: --|[Kk]ey ')([\w.]+)", text)
    )
    return unknown and unknown[1]


def wrong_value(line: str) -> tuple[str, str] | None:
    """The option and the value that a message of `one_line` is about; None for other messages.

    >>> wrong_value("lr is fast; expected float")
    ('lr', 'fast')
    """
    found = re.match(r"([\w.]+) is (.*?)(?:; expected |, but there is no |, which has no )", line)
    return found and (found[1], found[2])


def no_option(name: str, near: Sequence[str]) -> str:
    """The message for an unknown option, with the names that may have been meant."""
    if section := re.match("optimizer|lr_scheduler", name):
        return WITHOUT_SECTION[section[0]]
    return f"there is no option {name}" + (f": did you mean {' or '.join(near)}?" if near else "")


def _condensed(message: str) -> str:
    """A message without the parser's line breaks and wrapping."""
    text = re.sub(r"\s+", " ", message).strip()
    return _innermost(re.sub(r"<class '([\w.]+)'>", r"\1", text))


def _innermost(text: str) -> str:
    """The error of a class's options, if it is reported as an error of the class."""
    for inside in INSIDE:
        if of_class := re.fullmatch(inside, text):
            return _innermost(of_class[1])
    refused = re.search(r"Problem with given class_path \S+: (Option '[\w.]+' is not accepted)", text)
    return refused[1] if refused else text


def _wrong_value(text: str) -> str | None:
    """A value of the wrong type, as "name is value; expected types"; None for other errors."""
    text = re.sub(r" Subclass types expect one of: - .*? \(implicit class_path\)", "", text)
    union = re.fullmatch(
        r'Parser key "([\w.]+)": .*?Subtypes: \[(.*)\] Errors: (.*) Given value type: .*? Given value: (.*)', text
    )
    no_class = re.match(r'Parser key "([\w.]+)": (?:.*- )?Expected a dot import path string: (\S+)', text)
    if no_name := re.search(r"Key must be a string, got: (.*?)\.(?= - | Given value|$)", text):
        where = f"{union[1]} is {union[4]}; expected names with values, but " if union else ""
        return f"{where}{no_name[1]} stands where a name is expected: a decimal number has a point, as in 0.1"
    if union:
        name, kinds, errors, value = union.groups()
        value = re.sub(r"NestedArg\(key='class_path', val='([\w.]+)'\)", r"\1", value)
        inside = re.fullmatch(
            r'- Problem with given class_path [^:]*: Parser key "([\w.]+)": Expected an? (.*?)\. Got value: (.*)',
            errors,
        )
        if inside:
            return f"{name}.{inside[1]} is {inside[3]}; expected {_plain_kinds(inside[2])}"
        option = re.match(r"NestedArg\(key='(\w+)'", value)
        if no_class and option:
            return f"{name} is {no_class[2]}, which has no option {option[1]}: first give a class that has it"
        if no_class:
            near = difflib.get_close_matches(no_class[2], _values_of(kinds), n=1)
            hint = f": did you mean {near[0]}?" if near else f"; {OF_YOUR_OWN.format(no_class[2])}"
            return f"{name} is {value}, but there is no class {no_class[2]}; expected {_plain_kinds(kinds)}{hint}"
        if all(re.match(OF_KIND, error) for error in re.split(r"(?:^|\s)- ", errors) if error):
            return f"{name} is {value}; expected {_plain_kinds(kinds)}"
        return None
    if no_class:
        kind = "task" if no_class[1].endswith("task") else "class"
        meant = near_in_module("grokking_pl.tasks", no_class[2]) if kind == "task" else None
        hint = f"did you mean {meant}?" if meant else OF_YOUR_OWN.format(no_class[2])
        return f"{no_class[1]} is {no_class[2]}, but there is no such {kind}: {hint}"
    other = re.match(r"Parser key \"([\w.]+)\": .*Expected '([\w.]+)' to be a subclass of (\w+)", text)
    if other:
        return f"{other[1]} is {other[2]}; expected class of {other[3]}"
    single = re.fullmatch(r'Parser key "([\w.]+)": Expected an? (.*)\. Got value: (.*)', text)
    if single:
        return f"{single[1]} is {single[3]}; expected {_plain_kinds(single[2])}"
    section = re.match(r"Parser key \"([\w.]+)\": Unable to load config '(.*?)'", text)
    return section and f"{section[1]} is {section[2]}; expected its options, each as name: value"


def near_in_module(module: str, name: str) -> str | None:
    """The dotted name of what a loaded module has under this name or one that is near; None if there is nothing.

    >>> near_in_module("grokking_pl.tasks", "adition")
    'grokking_pl.tasks.addition'
    """
    loaded = vars(sys.modules[module]) if module in sys.modules else {}
    names = [each for each, value in loaded.items() if callable(value) and not each.startswith("_")]
    near = difflib.get_close_matches(name, names, n=1)
    return f"{module}.{near[0]}" if near else None


def _without_help(text: str) -> str | None:
    """What to give to a ``.help`` option instead of this, or how else to get help; None for other errors."""
    unnamed = re.fullmatch(r"(--[\w.]+\.help): Expected a dot import path string: (\w+)", text)
    if unnamed:
        return (
            f"{unnamed[1]}: no class that this option takes is called {unnamed[2]}: give its import path, "
            "package.module.Class"
        )
    function = re.fullmatch(r'(--[\w.]+\.help): "([\w.]+)" is not a .*', text)
    if function and inspect.isfunction(pydoc.locate(function[2])):
        return f"{function[1]}: {function[2]} is a function: its help is printed by python -m pydoc {function[2]}"
    return None


def _plain_kinds(kinds: str) -> str:
    """Describe types in the user's notation.

    >>> _plain_kinds("GroupOptions, typing.Callable[[collections.abc.Iterable[typing.Any]], torch.optim.Optimizer]")
    'options of AdamW or class of Optimizer'
    >>> _plain_kinds("typing.Literal['a', 'b'], list[collections.abc.Mapping], NoneType")
    "'a', 'b', list[Mapping] or null"
    """
    kinds = re.sub(r"typing\.Literal\[([^]]*)\]", r"\1", kinds)
    kinds = re.sub(r"(?:\w+\.)*Callable\[\[[^,]*\], ([\w.]+)\]", r"class of \1", kinds)
    kinds = re.sub(r"<class '([\w.]+)'>", r"\1", kinds).replace("GroupOptions", "options of AdamW")
    kinds = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", kinds)
    first, comma, last = kinds.replace("NoneType", "null").rpartition(", ")
    return f"{first} or {last}" if comma else last


def _values_of(kinds: str) -> list[str]:
    """The literals of these types, and the short names of loaded classes of these types.

    >>> _values_of("grokking_pl.training.losses.StableMax, typing.Literal['mse', 'cross_entropy']")
    ['mse', 'cross_entropy', 'StableMax']
    """
    words = re.findall(r"'(\w+)'", kinds)
    waiting = [cls for path in re.findall(r"\b\w+(?:\.\w+)+", kinds) if isinstance(cls := pydoc.locate(path), type)]
    while waiting:
        cls = waiting.pop()
        waiting += type.__subclasses__(cls)
        if not inspect.isabstract(cls):
            words.append(cls.__name__)
    return words


def options_of_classes() -> list[str]:
    """The options of all loaded architectures, modules, datamodules, callbacks and loggers."""
    names: set[str] = set()
    waiting: list[type] = [
        LightningModule, LightningDataModule, Callback, Logger, torch.nn.Module, GroupOptions, Loss, Schedule,
        torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler,
    ]  # fmt: skip
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith("torch.optim.") or not cls.__module__.startswith(("torch", "lightning")):
            names |= set(inspect.signature(cls).parameters)
    return sorted(names)
