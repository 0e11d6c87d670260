"""Sweep files in the schema of Weights & Biases: command, metric and parameters."""

import itertools
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from grokking_pl.errors import UserError
from grokking_pl.sweeps.distributions import check_distribution

METHODS = ("grid", "random", "bayes")


@dataclass(frozen=True)
class SweepFile:
    """The content of a sweep file.

    Args:
        method: how parameters are chosen.
        arguments: arguments of `grok fit` besides the parameters.
        parameters: distribution of each parameter, by its path on the command line.
        metric: name of the metric to optimise; None if not given.
        maximise: whether to maximise it.
        run_cap: maximum number of runs; None for no limit.
    """

    method: Literal["grid", "random", "bayes"]
    arguments: list[str]
    parameters: dict[str, dict[str, Any]]
    metric: str | None
    maximise: bool
    run_cap: int | None


def read_sweep(path: Path) -> SweepFile:
    """Read and check a sweep file.

    Raises:
        UserError: the file is not a sweep, has no parameters, does not run `grok fit`, or a distribution is invalid.
    """
    try:
        given = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(error, "strerror", None) or f"not valid YAML{where}"
        raise UserError(f"cannot read the sweep {path}: {reason}") from None
    if not isinstance(given, dict):
        raise UserError(f"{path} is not a sweep: it must have method, command and parameters")
    method = given.get("method")
    if method not in METHODS:
        raise UserError(f"{path}: the method is {method!r}; it must be one of {', '.join(METHODS)}")
    if not isinstance(given.get("parameters"), Mapping) or not given["parameters"]:
        raise UserError(f"{path} has no parameters: name at least one, by its path on the command line of grok fit")
    parameters = _flat(given["parameters"])
    for name, spec in parameters.items():
        if name in OF_THE_SWEEP:
            raise UserError(f"{path}: the sweep itself gives each run its {name}: remove this parameter")
        check_distribution(name, spec)
    metric = given.get("metric") or {}
    if not isinstance(metric, Mapping) or (metric and "name" not in metric):
        raise UserError(f"{path}: the metric is {metric!r}; give its name and its goal")
    goal = metric.get("goal", "minimize")
    if goal not in ("minimize", "maximize"):
        raise UserError(f"{path}: the goal is {goal!r}; it must be minimize or maximize")
    if method == "bayes" and not metric:
        raise UserError(f"{path}: the method bayes needs a metric")
    cap = given.get("run_cap")
    if cap is not None and (not isinstance(cap, int) or cap < 1):
        raise UserError(f"{path}: run_cap is {cap!r}; it must be a whole number of at least 1")
    arguments = _arguments(path, given, parameters)
    return SweepFile(method, arguments, parameters, metric.get("name"), goal == "maximize", cap)


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Flatten nested parameters, which W&B writes with a ``parameters`` at each level, to command line names.

    ``init_args`` is optional on the command line and left out here.
    """
    flat: dict[str, dict[str, Any]] = {}
    for name, spec in parameters.items():
        if not isinstance(spec, Mapping):
            raise UserError(f"the parameter {prefix}{name} is {spec!r}; write value: {spec!r}, or values: [...]")
        if isinstance(spec.get("parameters"), Mapping):
            flat |= _flat(spec["parameters"], f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = dict(spec)
    if prefix:
        return flat
    short = {name: name.replace(".init_args.", ".") for name in flat}
    for name, other in itertools.combinations(flat, 2):
        if short[name] == short[other]:
            raise UserError(f"the parameters {name} and {other} are the same: remove one")
    return {short[name]: spec for name, spec in flat.items()}


OF_THE_SWEEP = ("run_dir", "ckpt_path", "config")
"""Options of `grok fit` that a sweep gives to its runs."""

MACROS = {
    "args_no_hyphens": "the parameters without --, which grok fit does not take",
    "args_no_equals": "the parameters without =, which would split values that hold a list",
    "args_json": "the parameters as JSON, which grok fit does not take",
    "args_json_file": "the name of a JSON file, which grok fit does not take",
    "args_dict": "the parameters as a dictionary, which grok fit does not take",
    "args_append_hydra": "the parameters for another program, Hydra",
    "args_override_hydra": "the parameters for another program, Hydra",
}
"""Meanings of W&B's other ``${...}`` words in a command."""


def _arguments(path: Path, given: dict[str, Any], parameters: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The arguments after `grok fit`, without placeholders for parameters."""
    command = given.get("command")
    words = _words_after_fit(command if isinstance(command, list) else [])
    if words is None:
        raise UserError(
            f"{path}: the command must run grok fit, for example program: grok and command: "
            '["${program}", fit, --config, configs/toy_addition.yaml, "${args}"]'
        )
    for word in words:
        for macro, meaning in MACROS.items():
            if word == f"${{{macro}}}":
                raise UserError(f"{path}: the command has {word}, {meaning}: write ${{args}}")
    if "${args_no_boolean_flags}" in words:
        flags = [name for name, spec in parameters.items() if _may_be_boolean(spec)]
        if flags:
            raise UserError(
                f"{path}: with ${{args_no_boolean_flags}} the parameter {flags[0]}, which can be true or false, would "
                "reach grok fit without a value: write ${args}"
            )
    if not {"${args}", "${args_no_boolean_flags}"} & set(words):
        raise UserError(f"{path}: the command has no ${{args}}, so no run would get its parameters")
    return [word for word in words if word not in ("${args}", "${args_no_boolean_flags}")]


def _words_after_fit(command: list[Any]) -> list[str] | None:
    """The words after ``fit`` in a command, whose elements may contain several words; None without ``fit``."""
    for position, element in enumerate(map(str, command)):
        words = shlex.split(element)
        if "fit" in words:
            return [*words[words.index("fit") + 1 :], *map(str, command[position + 1 :])]
    return None


def _may_be_boolean(spec: Mapping[str, Any]) -> bool:
    return any(isinstance(value, bool) for value in (spec.get("value"), *(spec.get("values") or ())))
