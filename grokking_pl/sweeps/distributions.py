"""Distributions of a sweep's parameters, with the names and options of Weights & Biases."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grokking_pl.errors import UserError

Draw = Callable[[Mapping[str, Any], np.random.Generator], float]


def _uniform(spec: Mapping[str, Any], rng: np.random.Generator) -> float:
    return float(rng.uniform(spec["min"], spec["max"]))


def _log_uniform(spec: Mapping[str, Any], rng: np.random.Generator) -> float:
    return math.exp(_uniform(spec, rng))


def _log_uniform_values(spec: Mapping[str, Any], rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(spec["min"]), math.log(spec["max"])))


def _inv_log_uniform(spec: Mapping[str, Any], rng: np.random.Generator) -> float:
    return math.exp(-_uniform(spec, rng))


def _normal(spec: Mapping[str, Any], rng: np.random.Generator) -> float:
    return float(rng.normal(spec.get("mu", 0), spec.get("sigma", 1)))


def _log_normal(spec: Mapping[str, Any], rng: np.random.Generator) -> float:
    return math.exp(_normal(spec, rng))


def _beta(spec: Mapping[str, Any], rng: np.random.Generator) -> float:
    return float(rng.beta(spec.get("a", 1), spec.get("b", 1)))


CONTINUOUS: dict[str, Draw] = {
    "uniform": _uniform,
    "log_uniform": _log_uniform,
    "log_uniform_values": _log_uniform_values,
    "inv_log_uniform": _inv_log_uniform,
    "inv_log_uniform_values": _log_uniform_values,  # uniform in log(1 / x) is uniform in log(x)
    "normal": _normal,
    "log_normal": _log_normal,
    "beta": _beta,
}
"""Each also exists with the prefix ``q_``, which rounds values to multiples of ``q``."""

DISCRETE = ("constant", "categorical", "categorical_w_probabilities", "int_uniform")


def distribution_of(spec: Mapping[str, Any]) -> str | None:
    """The distribution that a parameter names or that its options imply."""
    if "distribution" in spec:
        name: str = spec["distribution"]
        return name
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    if "min" in spec and "max" in spec:
        return "int_uniform" if all(isinstance(spec[end], int) for end in ("min", "max")) else "uniform"
    return "normal" if "mu" in spec and "sigma" in spec else None


def check_distribution(path: str, spec: Mapping[str, Any]) -> None:
    """Raise a `UserError` unless values can be drawn from the distribution of the parameter ``path``.

    Raises:
        UserError: no distribution is named or implied, or an option is missing or out of range.
    """
    name = distribution_of(spec)
    if name is None:
        raise UserError(f"the parameter {path} has no value, no values, and no min and max")
    plain = name.removeprefix("q_")
    if name not in DISCRETE and plain not in CONTINUOUS:
        raise UserError(f"the parameter {path} has the distribution {name!r}, which W&B does not have")
    given = [option for option in ("value", "values", "min") if option in spec]
    if len(given) > 1:
        raise UserError(f"the parameter {path} has both {given[0]} and {given[1]}: remove one")
    if name == "constant" and "value" not in spec:
        raise UserError(f"the parameter {path} is constant and has no value")
    if name.startswith("categorical"):
        values, weights = spec.get("values"), spec.get("probabilities")
        if not isinstance(values, list) or not values:
            raise UserError(f"the parameter {path} has the values {values!r}; give a list with at least one")
        if len({repr(value) for value in values}) < len(values):
            raise UserError(f"the parameter {path} has a value twice in {values}: remove one")
        if weights is not None and (
            len(weights) != len(values) or min(weights) < 0 or not math.isclose(sum(weights), 1, rel_tol=1e-6)
        ):
            raise UserError(f"the parameter {path} has the probabilities {weights}; give one per value, with sum 1")
    if name == "int_uniform" or "uniform" in plain:
        low, high = spec.get("min"), spec.get("max")
        for end in (low, high):
            _refuse_text(path, end)
        numbers = all(isinstance(end, int | float) and math.isfinite(end) for end in (low, high))
        if not numbers or not low <= high:  # type: ignore[operator]
            raise UserError(f"the parameter {path} runs from {low!r} to {high!r}; give numbers min <= max")
        if plain.endswith("_values") and low <= 0:  # type: ignore[operator]
            raise UserError(f"the parameter {path} is logarithmic and starts at {low}; it must start above 0")
    if name.startswith("q_") and not spec.get("q", 1) > 0:
        raise UserError(f"the parameter {path} is rounded to multiples of {spec['q']}; q must be above 0")


def _refuse_text(path: str, value: Any) -> None:
    """Raise a `UserError` for a number that YAML reads as text, such as 6e-5, which has no decimal point."""
    if not isinstance(value, str):
        return
    try:
        mantissa, _, exponent = f"{float(value):.12e}".partition("e")
    except ValueError:
        return
    number = f"{float(mantissa):.12g}"
    written = f"{number if '.' in number else number + '.0'}e{int(exponent):+d}"
    raise UserError(f"the parameter {path} has {value!r}, which YAML reads as text: write {written}")


def draw(spec: Mapping[str, Any], rng: np.random.Generator) -> Any:
    """Draw a value of a parameter."""
    name = distribution_of(spec) or ""
    if name == "constant":
        return spec["value"]
    if name.startswith("categorical"):
        return spec["values"][int(rng.choice(len(spec["values"]), p=spec.get("probabilities")))]
    if name == "int_uniform":
        return int(rng.integers(spec["min"], spec["max"], endpoint=True))
    value = CONTINUOUS[name.removeprefix("q_")](spec, rng)
    if not name.startswith("q_"):
        return value
    q = spec.get("q", 1)
    rounded = round(value / q) * q
    return rounded if isinstance(q, int) else float(f"{rounded:.12g}")


def grid_values(path: str, spec: Mapping[str, Any]) -> list[Any]:
    """The values of a parameter in a grid.

    Raises:
        UserError: there are infinitely many values.
    """
    name = distribution_of(spec)
    if name == "constant":
        return [spec["value"]]
    if name in ("categorical", "categorical_w_probabilities"):
        return list(spec["values"])
    if name == "int_uniform":
        return list(range(spec["min"], spec["max"] + 1))
    raise UserError(f"the parameter {path} has the distribution {name} and no finite grid: give values, or use random")
