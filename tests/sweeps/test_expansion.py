"""Which runs a sweep makes, against brute force and the laws of W&B's distributions."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.runs.naming import run_name
from grokking_pl.sweeps import read_sweep
from grokking_pl.sweeps.distributions import check_distribution, draw
from grokking_pl.sweeps.expansion import expand

LOGARITHMIC_FROM_ZERO = {
    "method": "random", "parameters": {"a": {"distribution": "log_uniform_values", "min": 0, "max": 1}}
}  # fmt: skip
COMMAND = ["${program}", "fit", "--config", "a.yaml", "${args}"]


@pytest.fixture
def sweep(tmp_path):
    """Read a sweep that has these keys besides its program and command."""

    def read(**keys):
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump({"program": "grok", "command": COMMAND, **keys}, sort_keys=False))
        return read_sweep(path)

    return read


def draws(spec, count=4000):
    check_distribution("x", spec)
    rng = np.random.default_rng(0)
    return [draw(spec, rng) for _ in range(count)]


def test_grid_is_every_combination_once(sweep):
    axes = {"a.lr": [1, 2, 3], "a.decay": [0.5, 0.0], "b": ["x"], "c": list(range(2, 6))}
    parameters = {
        "a": {"parameters": {"lr": {"values": axes["a.lr"]}, "decay": {"values": axes["a.decay"]}}},
        "b": {"value": "x"},
        "c": {"min": 2, "max": 5},
    }
    read = sweep(method="grid", parameters=parameters)
    assert read.arguments == ["--config", "a.yaml"]
    wanted = [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    assert expand(read) == wanted
    assert expand(read, count=5) == wanted[:5]
    assert expand(sweep(method="grid", parameters=parameters, run_cap=3)) == wanted[:3]


def test_more_random_runs_begin_with_the_same(sweep):
    read = sweep(method="random", parameters={"a": {"min": 0.0, "max": 1.0}, "b": {"values": [1, 2]}}, run_cap=3)
    assert expand(read, 20)[:3] == expand(read)
    assert expand(read, 3, seed=1) != expand(read)
    assert len({run["a"] for run in expand(read, 200)}) == 200


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e4), st.integers(0, 2**32))
def test_draws_lie_in_their_range(low, factor, seed):
    high = low * factor
    rng = np.random.default_rng(seed)
    for name, least, most in (
        ("uniform", low, high),
        ("log_uniform_values", low, high),
        ("inv_log_uniform_values", low, high),
    ):
        spec = {"distribution": name, "min": least, "max": most}
        check_distribution("x", spec)
        assert low * (1 - 1e-12) <= draw(spec, rng) <= high * (1 + 1e-12)
    exponents = {"min": math.log(low), "max": math.log(high)}
    assert low * 0.999 <= draw({"distribution": "log_uniform", **exponents}, rng) <= high * 1.001
    inverse = {"distribution": "inv_log_uniform", "min": -math.log(high), "max": -math.log(low)}
    assert low * 0.999 <= draw(inverse, rng) <= high * 1.001


@pytest.mark.parametrize(
    ("spec", "median"),
    [
        ({"min": 1.0, "max": 3.0}, 2),
        ({"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2}, 1e-3),
        ({"distribution": "inv_log_uniform_values", "min": 1e-4, "max": 1e-2}, 1e-3),
        ({"distribution": "log_uniform", "min": -4, "max": 2}, math.exp(-1)),
        ({"mu": 2.0, "sigma": 0.5}, 2),
        ({"distribution": "log_normal", "mu": 1.0, "sigma": 0.2}, math.e),
        ({"distribution": "beta", "a": 3, "b": 3}, 0.5),
    ],
)
def test_medians(spec, median):
    assert np.median(draws(spec)) == pytest.approx(median, rel=0.1)


def test_discrete_draws():
    assert set(draws({"min": 3, "max": 6})) == {3, 4, 5, 6}
    drawn = Counter(draws({"values": ["a", "b", "c"], "probabilities": [0.7, 0.3, 0.0]}))
    assert drawn["c"] == 0
    assert drawn["a"] / 4000 == pytest.approx(0.7, abs=0.05)
    assert set(draws({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25})) == {0, 0.25, 0.5, 0.75, 1}
    rounded = draws({"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 10})
    assert all(isinstance(value, int) and value % 10 == 0 for value in rounded)


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"method": "grid"}, "no parameters"),
        ({"method": "grid", "parameters": {}}, "no parameters"),
        ({"method": "gird", "parameters": {"a": {"value": 1}}}, "grid, random, bayes"),
        ({"method": "grid", "parameters": {"a": 3}}, "write value: 3"),
        ({"method": "grid", "parameters": {"a": {}}}, "no value, no values"),
        ({"method": "grid", "parameters": {"a": {"values": []}}}, "at least one"),
        ({"method": "grid", "parameters": {"a": {"min": 0.0, "max": 1.0}}}, "no finite grid"),
        ({"method": "random", "parameters": {"a": {"min": 2.0, "max": 1.0}}}, "min <= max"),
        ({"method": "random", "parameters": {"a": {"distribution": "zipf"}}}, "zipf"),
        ({"method": "random", "parameters": {"a": {"values": [1, 2], "probabilities": [1, 1]}}}, "with sum 1"),
        (LOGARITHMIC_FROM_ZERO, "it must start above 0"),
        ({"method": "random", "parameters": {"a": {"value": 1}}}, "--count"),
        ({"method": "random", "parameters": {"a": {"value": 1}}, "run_cap": 0}, "run_cap is 0"),
        ({"method": "random", "parameters": {"a": {"value": 1}}, "run_cap": 10**6}, "more than"),
        ({"method": "grid", "parameters": {f"p{k}": {"min": 1, "max": 100} for k in range(9)}}, "more than"),
        ({"method": "bayes", "parameters": {"a": {"value": 1}}}, "needs a metric"),
        ({"method": "bayes", "parameters": {"a": {"value": 1}}, "metric": {"name": "x"}}, "wandb agent"),
        ({"method": "grid", "parameters": {"a": {"value": 1}}, "metric": {"goal": "maximize"}}, "its name"),
        ({"method": "grid", "parameters": {"a": {"value": 1}}, "metric": {"name": "x", "goal": "up"}}, "'up'"),
        ({"method": "grid", "parameters": {"a": {"value": 1}}, "command": ["python", "${args}"]}, "grok fit"),
        ({"method": "grid", "parameters": {"a": {"value": 1}}, "command": ["grok", "fit"]}, "no ${args}"),
    ],
)  # fmt: skip
def test_mistakes(sweep, keys, wanted):
    with pytest.raises(UserError) as error:
        expand(sweep(**keys))
    assert wanted in str(error.value)


def test_files_that_are_no_sweeps(tmp_path):
    for text in ("- a\n", "method: [", ""):
        path = tmp_path / "sweep.yaml"
        path.write_text(text)
        with pytest.raises(UserError):
            read_sweep(path)
    with pytest.raises(UserError, match="No such file"):
        read_sweep(tmp_path / "absent.yaml")


@given(
    st.dictionaries(st.from_regex(r"[a-c](\.[a-c]){0,3}", fullmatch=True), st.integers(0, 9), min_size=1, max_size=12)
)
def test_names_tell_every_parameter_apart(parameters):
    words = run_name(parameters).split(",")
    assert len({word.split("=")[0] for word in words}) == len(parameters)
    for word, (path, value) in zip(words, parameters.items(), strict=True):
        ending, shown = word.split("=")
        assert path.endswith(ending)
        assert shown == str(value)


def test_names_are_fit_for_folders():
    name = run_name({"data.task": {"class_path": "a.B", "init_args": {"p": 3}}, "model.x": "a/b c", "y": "m" * 500})
    assert "/" not in name
    assert " " not in name
    assert len(name) <= 160
