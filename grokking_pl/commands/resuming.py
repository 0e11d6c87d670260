"""Checks that a run is resumed with the settings it was trained with."""

import json
import pydoc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.callbacks import Timer

from grokking_pl.commands.base_callbacks import OBSERVERS
from grokking_pl.commands.changed_settings import CHANGEABLE, Change, as_word
from grokking_pl.commands.fork import Fork, may_differ
from grokking_pl.commands.standard_callbacks import as_list
from grokking_pl.errors import UserError
from grokking_pl.experiments import Settings, flatten
from grokking_pl.population.honoured import CHANGES_NO_TRAINING
from grokking_pl.runs import RunFolder

RECORD = "settings"
"""Key of a checkpoint's settings, as JSON."""

LENGTH = {"max_epochs", "max_time", "min_epochs", "min_steps", "fast_dev_run"}
MAY_CHANGE = (CHANGES_NO_TRAINING - {"use_distributed_sampler"}) | LENGTH
"""Trainer options that may differ when a run is resumed."""

OF_THE_COMMAND = ("run_dir", "ckpt_path", "fork", "weights_only", "trainer")
"""Names that are not training settings, and the trainer's options, which are checked one by one."""

OF_THE_OPTIMIZER = ("model.embeddings", "model.decoder", "model.schedule", "model.fused", "model.compile")

MOST_NAMED = 5
"""Most differing settings to name."""


def check_settings(
    checkpoint: Mapping[str, Any], path: Path, given: Settings, words: Sequence[str], fork: Fork | None = None
) -> list[Change]:
    """Check that a checkpoint is resumed with the settings it was trained with, and return allowed changes.

    Allowed are changes of learning rates and weight decays on the command line, and in a fork also of other settings.

    Args:
        checkpoint: content of the checkpoint.
        path: its file.
        given: all settings of the command.
        words: words of the command line.
        fork: starting point, if the run is a fork.

    Returns:
        Changes of the optimizer's options.

    Raises:
        UserError: settings that affect training differ.
    """
    recorded = recorded_settings(checkpoint, path)
    if recorded is None:
        return []
    trained, now = flatten(_of_the_training(recorded)), flatten(_of_the_training(given))
    differing = _differing(trained, now)
    changing = [name for name in differing if name in CHANGEABLE and name in trained and name in now]
    if fork is None:
        changing = [name for name in changing if _is_given(name, words)]
    else:
        differing = [name for name in differing if not may_differ(name)]
    differing = [name for name in differing if name not in changing]
    if not differing:
        return [Change(name, trained[name], now[name]) for name in changing]
    named = _named(differing, trained, now)
    advice = _advice(differing, now, words)
    if fork is not None:
        raise UserError(f"{fork.parent.path} was trained {', and '.join(named)}, which no fork can change: {advice}")
    raise UserError(f"the run was trained {', and '.join(named)}: {advice} to resume, or choose a new --run_dir")


def note_on_measuring(checkpoint: Mapping[str, Any], path: Path, given: Settings) -> str | None:
    """A line that names what a network is measured with and was not trained with; None for nothing.

    Optimizers are left out, because no measurement depends on them.

    Args:
        checkpoint: content of the checkpoint.
        path: its file.
        given: all settings of the command.
    """
    recorded = recorded_settings(checkpoint, path)
    if recorded is None:
        return None
    trained, now = flatten(recorded), flatten(given)
    differing = [
        name
        for name in _differing(trained, now)
        if name.split(".")[0] in ("seed_everything", "data", "model") and not name.startswith(OF_THE_OPTIMIZER)
    ]
    return f"the run was trained {', and '.join(_named(differing, trained, now))}" if differing else None


def _differing(trained: Settings, now: Settings) -> list[str]:
    """The names of settings that differ; if a class differs, its options are not compared."""
    differing = [
        name
        for name in {**trained, **now}
        if (name in trained) != (name in now) or not _is_same(trained.get(name), now.get(name))
    ]
    return [name for name in differing if not any(name.startswith(f"{other}.") for other in differing)]


def _named(differing: Sequence[str], trained: Settings, now: Settings) -> list[str]:
    """The first differences in words, and how many there are besides."""
    named = [_difference(name, trained, now) for name in differing[:MOST_NAMED]]
    rest = len(differing) - len(named)
    return [*named, f"{rest} more that differ"] if rest else named


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal, or paths of the same class."""
    if isinstance(one, str) and isinstance(other, str) and "." in one and one != other:
        found = pydoc.locate(one)
        return found is not None and found is pydoc.locate(other)
    return bool(one == other)


def _advice(names: Sequence[str], now: Settings, words: Sequence[str]) -> str:
    """Advice on differing settings: omit them, or give them as before if the command does not."""
    one = len(names) == 1
    if all(name in now and _is_given(name, words) for name in names):
        return "leave it out" if one else "leave them out"
    return "give it as it was" if one else "give them as they were"


def _is_given(name: str, words: Sequence[str]) -> bool:
    """Whether a setting, or a section that contains it, is on the command line."""
    options = {word.partition("=")[0].rstrip("+") for word in words if word.startswith("--")}
    return any(f"--{name}.".startswith(f"{option}.") for option in options)


def _difference(name: str, trained: Settings, now: Settings) -> str:
    before, after = _described(name, trained), _described(name, now)
    return f"without {name}" if before is None else f"with {name} {before}, not {after or 'without'}"


def _described(name: str, settings: Settings) -> str | None:
    """A setting's value, or the first of its options if it has no class of its own; None if it is not there."""
    if name in settings:
        return as_word(settings[name])
    options = [option for option in settings if option.startswith(f"{name}.")]
    return f"{{{options[0].removeprefix(f'{name}.')}: {as_word(settings[options[0]])}, ...}}" if options else None


def _of_the_training(settings: Settings) -> Settings:
    """The settings that affect training."""
    trainer = settings.get("trainer") or {}
    return {
        **{name: value for name, value in settings.items() if name not in OF_THE_COMMAND},
        "trainer": {
            **{name: value for name, value in trainer.items() if name not in MAY_CHANGE},
            "callbacks": _training_callbacks(trainer.get("callbacks")),
        },
    }


def _training_callbacks(given: Any) -> dict[str, Any]:
    """The callbacks that may change training, by class name."""
    callbacks: dict[str, Any] = {}
    for callback in as_list(given or []):
        path = str(callback.get("class_path") if isinstance(callback, Mapping) else callback)
        cls = pydoc.locate(path)
        if not (isinstance(cls, type) and issubclass(cls, (*OBSERVERS, Timer))):
            short = path.rpartition(".")[2]
            same = sum(name.partition(" ")[0] == short for name in callbacks)
            callbacks[f"{short} {same + 1}" if same else short] = callback
    return callbacks


def recorded_settings(checkpoint: Mapping[str, Any], path: Path) -> Settings | None:
    """The settings recorded in a checkpoint or its folder; None if it is not from `grok fit`."""
    text, record = checkpoint.get(RECORD), path
    if text is None:
        record = RunFolder(path.parent.parent).config
        if not record.exists():
            return None
    try:
        settings = yaml.safe_load(record.read_text()) if text is None else json.loads(text)
    except (OSError, TypeError, ValueError, yaml.YAMLError):
        settings = None
    if not isinstance(settings, dict):
        raise UserError(
            f"{record} does not have the settings of the run: restore it from a copy, or start again in "
            "another folder with --run_dir"
        )
    return settings
