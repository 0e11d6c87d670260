"""Experiments from Python: `grok fit`, `grok diagram` and `grok compare` as functions that return results.

A configuration is a file, the name of a bundled one, several of them, or a dictionary. It is overridden by names as on
the command line, in a dictionary (``{"model.decoder.lr": 1e-3}``) or as keywords with double underscores for dots
(``model__decoder__lr=1e-3``). Classes and functions can be given as objects instead of by ``class_path``.
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
import yaml

from grokking_pl.commands.bundled import check_kinds, config_path
from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.failure import InvalidInput, users_mistake
from grokking_pl.commands.named_files import check_named_files
from grokking_pl.commands.quiet import quieten
from grokking_pl.errors import RunInterrupted, UserError
from grokking_pl.experiments import as_argument
from grokking_pl.interface.diagram import Diagram
from grokking_pl.interface.run import Run
from grokking_pl.report.comparison import Comparison, compare_runs
from grokking_pl.runs import RunFolder
from grokking_pl.training.plain_settings import NotPlain, as_setting, import_path
from grokking_pl.training.subnormal import are_subnormals_flushed, flush_subnormals

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]

Config: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]


def fit(
    config: Config | Sequence[Config] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    run_dir: str | os.PathLike[str] | None = None,
    **keywords: Any,
) -> Run:
    """Train a network as `grok fit` does, or resume an interrupted run, and return the run.

    A finished run with the same settings is returned unchanged; with a larger ``trainer.max_steps`` it is trained
    further. Nothing is overwritten.

    Args:
        config: configuration, or several, each overriding those before it; by default that of the run to fork.
        overrides: settings by name.
        run_dir: folder of the run; by default ``runs/`` plus the name of the first configuration.
        **keywords: settings, with double underscores for dots. ``fork="RUN"`` or ``fork="RUN@STEP"`` starts a new run
            from the last checkpoint of another run, or from that of a step; ``ckpt_path`` is as in `grok fit`.

    Raises:
        UserError: a setting is invalid, the folder has a run with other settings, there is neither a configuration nor
            a run to fork, or no configuration has a name and run_dir is not given.
        KeyboardInterrupt: the run was stopped after writing a checkpoint; the same call resumes it.
    """
    settings = _named(overrides, keywords)
    configs = [] if config is None and settings.get("fork") is not None else _as_list(config)
    with _configurations(configs) as files:
        given = settings.pop("run_dir", None) if run_dir is None else run_dir
        folder = _folder(given, configs, "runs", "run_dir")
        words = ["fit", *files, *_arguments(settings), f"--run_dir={folder}"]
        if RunFolder(folder).checkpoint.exists() and "ckpt_path" not in settings:
            words.append("--ckpt_path=last")
        _call("fit", words)
    return Run(folder)


def diagram(
    config: Config | Sequence[Config],
    overrides: Mapping[str, Any] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    **keywords: Any,
) -> Diagram:
    """Train a grid of runs as `grok diagram` does, or the unfinished ones, and return the diagram.

    Runs are shared among processes, one per core, which cannot see classes defined in a notebook: for these give
    ``workers=1``. In a script, call this below ``if __name__ == "__main__":``.

    Args:
        config: configuration, or several, each overriding those before it.
        overrides: settings by name, such as ``{"steps": 1000, "set": {"model.decoder.lr": 1e-3}}``.
        folder: folder of the diagram; by default ``runs/diagrams/`` plus the name of the first configuration.
        **keywords: settings, with double underscores for dots.

    Raises:
        UserError: a setting is invalid, the folder has another diagram, or the configuration is a dictionary and folder
            is not given.
        KeyboardInterrupt: the diagram was stopped; the same call resumes it.
    """
    configs = _as_list(config)
    with _configurations(configs) as files:
        settings = _named(overrides, keywords)
        given = settings.pop("folder", None) if folder is None else folder
        path = _folder(given, configs, "runs/diagrams", "folder")
        _call("diagram", ["diagram", *files, *_arguments(settings), f"--folder={path}"])
    return Diagram(path)


def compare(
    runs: str | os.PathLike[str] | Run | Sequence[str | os.PathLike[str] | Run],
    metric: str = "val_accuracy",
    threshold: float | None = None,
) -> Comparison:
    """Compare several runs as `grok compare` does; the result has ``table``, ``curves`` and ``figure()``.

    Args:
        runs: runs or their folders, or a folder that contains runs. Runs that differ only in their seeds form a group.
        metric: metric that all runs have.
        threshold: count the steps until the metric reaches this value; by default the steps to the runs' own
            thresholds.

    Raises:
        UserError: a folder contains no run, or a run lacks the metric.
    """
    paths = [run.path if isinstance(run, Run) else Path(run) for run in _as_list(runs)]
    return compare_runs(paths, metric, threshold)


def _call(command: str, words: list[str]) -> None:
    """Run a command in this process, and restore the process's state.

    Raises:
        UserError: the message that the command line would print.
    """
    check_named_files(words)
    check_kinds(words)
    from grokking_pl.commands.diagram import build_parser, draw_diagram
    from grokking_pl.commands.fit import call_trainer

    with _process_kept():
        quieten()
        try:
            if command == "fit":
                call_trainer(words)
            else:
                draw_diagram(build_parser(words[0]).parse_args(words[1:]))
        except InvalidInput as invalid:
            raise UserError(invalid.line) from None
        except SystemExit as leaving:  # nothing left to do, as already printed
            if leaving.code:
                raise UserError(f"grok {command} ended with status {leaving.code}") from leaving
        except RunInterrupted as interruption:
            raise KeyboardInterrupt(f"{interruption}; the same call resumes it") from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(COMMANDS[command].when_stopped) from None
        except Exception as error:
            line = users_mistake(error)
            if line is None:
                raise
            raise UserError(line) from error


@contextlib.contextmanager
def _process_kept() -> Iterator[None]:
    """Restore what a command changes in its process: seed variables, import path, threads, subnormals."""
    environment, path, threads = dict(os.environ), list(sys.path), torch.get_num_threads()
    flushed = are_subnormals_flushed()
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS} if in_main else {}
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # as on the command line, for classes in the working directory
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        torch.set_num_threads(threads)
        flush_subnormals(flushed)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _configurations(configs: Sequence[Any]) -> Iterator[list[str]]:
    """The options that name the configurations; dictionaries are written to files within the block."""
    with tempfile.TemporaryDirectory() as folder:
        words = []
        for number, given in enumerate(configs):
            if isinstance(given, Mapping):
                path = Path(folder, f"{number}.yaml")
                path.write_text(yaml.safe_dump(_setting("the configuration", given), sort_keys=False))
            elif isinstance(given, str | os.PathLike):
                path = Path(config_path(os.fspath(given)))
            else:
                is_what = "missing" if given is None else type(given).__name__
                raise UserError(
                    f"the configuration is {is_what}: give a file, a name listed by 'grok configs', or a dictionary"
                )
            words.append(f"--config={path}")
        yield words


def _as_list(config: Any) -> list[Any]:
    return list(config) if isinstance(config, list | tuple) else [config]


def _folder(given: Any, configs: Sequence[Any], parent: str, name: str) -> Path:
    """The folder given, or the default of the command line."""
    if given is not None:
        if not os.fspath(given):
            raise UserError(f"{name} is empty: give the name of a folder, or omit it")
        return Path(given)
    if not configs:
        raise UserError(f"no configuration is given, which would name the folder: give it with {name}")
    first = configs[0]
    if isinstance(first, Mapping):
        raise UserError(f"a configuration without a file has no name: give the folder with {name}")
    return Path(parent, Path(config_path(os.fspath(first))).stem)


def _named(overrides: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """All settings, by their names on the command line."""
    settings = dict(overrides or {})
    for keyword, value in keywords.items():
        name = keyword.replace("__", ".")
        if name in settings:
            raise UserError(f"{name} is given twice, in overrides and as {keyword}: remove one")
        settings[name] = value
    return settings


def _arguments(settings: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in settings.items():
        plain = _setting(name, value)
        is_class = isinstance(plain, dict) and set(plain) == {"class_path"}
        words.append(as_argument(name, plain["class_path"] if is_class else plain))
    return words


def _setting(name: str, value: Any) -> Any:
    """Convert a value to a configuration's form, with paths and NumPy numbers as plain values.

    Raises:
        UserError: a configuration cannot represent the value.
    """
    try:
        return as_setting(_plain(value))
    except NotPlain:
        what = repr(value) if callable(value) else f"an object of {type(value).__name__}"
        raise UserError(
            f"{name} is {what}, which no configuration can hold: give a number, a word, a list, a dictionary, or a "
            "class or function that can be imported (local ones cannot)"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {
            name: import_path(part) if name == "class_path" and not isinstance(part, str) else _plain(part)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value
