"""Sweeps as W&B lets users write them, and what is said of those that grok cannot honour."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.runs.naming import run_name
from grokking_pl.sweeps import read_sweep

FIT = ["${program}", "fit", "--config", "a.yaml"]
RATE = {"model.decoder.lr": {"value": 0.1}}


@pytest.fixture
def sweep(tmp_path):
    def read(text=None, **keys):
        path = tmp_path / "sweep.yaml"
        given = {"program": "grok", "method": "grid", "command": [*FIT, "${args}"], "parameters": RATE, **keys}
        path.write_text(text or yaml.safe_dump(given))
        return read_sweep(path)

    return read


@pytest.mark.parametrize(
    "command",
    [
        [*FIT, "${args}"],
        [*FIT, "${args_no_boolean_flags}"],
        ["${env}", "${interpreter}", "-m", "grokking_pl", "fit", "--config", "a.yaml", "${args}"],
        ["grok fit --config a.yaml", "${args}"],
        ["${env}", "grok fit", "--config", "a.yaml", "${args}"],
    ],
)
def test_commands_of_several_forms(sweep, command):
    assert sweep(command=command).arguments == ["--config", "a.yaml"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"command": [*FIT, "${args_json}"]}, ["${args_json}", "JSON"]),
        ({"command": [*FIT, "${args_no_hyphens}"]}, ["${args_no_hyphens}", "write ${args}"]),
        ({"command": FIT}, ["no ${args}"]),
        ({"command": None}, ['["${program}", fit, --config, configs/toy_addition.yaml, "${args}"]', "sweep.yaml"]),
        (
            {"command": [*FIT, "${args_no_boolean_flags}"], "parameters": {"model.fused": {"values": [True, False]}}},
            ["model.fused", "true or false"],
        ),
        (
            {"parameters": {"lr": {"distribution": "log_uniform_values", "min": "6e-5", "max": 1.0}}},
            ["'6e-5'", "write 6.0e-5"],
        ),
        ({"parameters": {"lr": {"min": "1e3", "max": 5000}}}, ["write 1.0e+3"]),
        (
            {"parameters": {"model.init_args.lr": {"value": 1}, "model.lr": {"value": 2}}},
            ["model.init_args.lr and model.lr are the same"],
        ),
        ({"text": "method: grid\nparameters: {a: [1, 2\n"}, ["sweep.yaml", "line 3, column 1"]),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_named(sweep, keys, words):
    with pytest.raises(UserError) as error:
        sweep(**keys)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_the_suggested_command_is_yaml(sweep):
    with pytest.raises(UserError) as error:
        sweep(command=None)
    suggested = yaml.safe_load(str(error.value).partition("command: ")[2])
    assert sweep(command=suggested).arguments == ["--config", "configs/toy_addition.yaml"]


def test_init_args_may_be_written(sweep):
    given = {"model.init_args.decoder.lr": {"value": 0.1}, "data": {"parameters": {"init_args.p": {"value": 3}}}}
    assert set(sweep(parameters=given).parameters) == {"model.decoder.lr", "data.p"}


@given(st.lists(st.sampled_from(["+", "-", "*", "/", "**2+", "**3+", "s5"]), min_size=2, max_size=2, unique=True))
def test_operators_have_names_of_their_own(pair):
    one, other = (run_name({"data.operator": operator}) for operator in pair)
    assert one != other
    assert "/" not in one
