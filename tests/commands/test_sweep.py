"""The command `grok sweep`: its table, going on after an interruption, and mistakes named before any run starts."""

import csv
import json
import re
import shutil
import signal
import time

import pytest
import yaml

from tests.conftest import ROOT

SWEEPS = sorted((ROOT / "configs/sweeps").glob("*.yaml"))
BASE = [
    "${program}", "fit", "--config", str(ROOT / "configs/toy_addition.yaml"), "--model.architecture.width=8",
    "--trainer.max_steps=40", "--trainer.log_every_n_steps=20", "${args}",
]  # fmt: skip
GRID = {
    "program": "grok",
    "command": BASE,
    "method": "grid",
    "metric": {"name": "val_loss", "goal": "minimize"},
    "parameters": {"model.decoder.lr": {"values": [1e-3, 1e30]}, "model.decoder.weight_decay": {"value": 3}},
}


@pytest.fixture
def sweep_file(tmp_path):
    def write(**keys):
        path = tmp_path / "grid.yaml"
        path.write_text(yaml.safe_dump({**GRID, **keys}))
        return path

    return write


def table(folder):
    with open(folder / "runs.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_table_failure_and_going_on(grok, sweep_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = grok("sweep", sweep_file(), "--jobs=2")
    folder = tmp_path / "runs/sweeps/grid"
    good, bad = table(folder)
    assert status == 1
    assert (good["status"], bad["status"]) == ("finished", "failed")
    assert "the loss is" in bad["error"]
    assert "the loss is" in err
    assert (good["run"], good["model.decoder.lr"]) == ("0000_decoder.lr=0.001,decoder.weight_decay=3", "0.001")
    assert "best val_loss" in out

    # The same run by itself.
    status, _, err = grok(
        "fit", *BASE[2:-1], "--model.decoder.lr=1e-3", "--model.decoder.weight_decay=3", "--run_dir=alone",
        "--trainer.enable_progress_bar=false",
    )  # fmt: skip
    assert status == 0, err
    summary = json.loads((tmp_path / "alone/summary.json").read_text())
    for name in ("phase", "train_accuracy", "val_loss", "rqi", "steps", "seed"):
        assert good[name] == str(summary[name]), name

    # What finished is not trained again; what did not is.
    checkpoint = folder / "runs" / good["run"] / "checkpoints/last.ckpt"
    before = checkpoint.stat().st_mtime_ns
    shutil.rmtree(folder / "runs" / bad["run"])
    status, _, err = grok("sweep", sweep_file())
    assert status == 1
    assert "2 runs, 1 of them finished" in err
    assert checkpoint.stat().st_mtime_ns == before
    assert table(folder)[0] == good
    assert table(folder)[1]["status"] == "failed"

    # The folder is of this sweep alone.
    status, _, err = grok("sweep", sweep_file(parameters={"model.decoder.lr": {"values": [1e-3, 1e-2]}}))
    assert status == 2
    assert "parameters differ" in err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_sweep_goes_on(grok_process, grok, sweep_file, tmp_path, number):
    command = [*BASE[:-1], "--trainer.max_steps=6000", "--trainer.callbacks+=RunCheckpoint"]
    command += ["--trainer.callbacks.every_n_steps=200", "${args}"]
    file = sweep_file(command=command, parameters={"model.decoder.weight_decay": {"values": [0, 1, 2]}})
    folder = tmp_path / "one"
    process = grok_process("sweep", file, "--jobs=2", "--folder", folder)
    deadline = time.monotonic() + 120
    while not list(folder.glob("runs/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
    if number == signal.SIGKILL:
        # Its runs live on, and end by themselves; until then the folder is theirs.
        status, _, err = grok("sweep", file, "--folder", folder)
        assert status == 2
        assert "uses" in err
        while grok("sweep", file, "--folder", folder, "--jobs=2")[0] == 2 and time.monotonic() < deadline:
            time.sleep(1)
    else:
        assert {row["status"] for row in table(folder)} == {"interrupted", "waiting"}
    status, _, err = grok("sweep", file, "--folder", folder, "--jobs=2")
    assert status == 0, err
    assert grok("sweep", file, "--folder", tmp_path / "uninterrupted", "--jobs=2")[0] == 0
    ours, theirs = table(folder), table(tmp_path / "uninterrupted")
    for row in (*ours, *theirs):
        assert row["status"] == "finished"
        assert float(row.pop("seconds")) > 0
    assert ours == theirs


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"parameters": {}}, "has no parameters"),
        ({"parameters": {"model.decoder.wieght_decay": {"value": 1}}}, "did you mean model.decoder.weight_decay?"),
        (
            {"parameters": {"trainer.callbacks.PhaseTracker.delai": {"value": 1}}},
            "did you mean trainer.callbacks.PhaseTracker.delay?",
        ),
        ({"parameters": {"model.decoder.lr": {"values": [1e-3, "fast"]}}}, "fast"),
        ({"parameters": {"model.decoder.lr": {"value": -1}}}, "lr is -1"),
        ({"metric": {"name": "val_acuracy", "goal": "maximize"}}, "val_acuracy: did you mean val_accuracy?"),
        ({"method": "bayes"}, "wandb agent"),
        ({"command": ["grok", "fit", "--config", "no/such.yaml", "${args}"]}, "no/such.yaml"),
    ],
)  # fmt: skip
def test_mistakes_are_named_before_any_run(grok, sweep_file, tmp_path, keys, wanted):
    status, _, err = grok("sweep", sweep_file(**keys), "--folder", tmp_path / "sweep")
    assert status == 2
    assert wanted in err
    assert len(err.splitlines()) == 1
    assert err.startswith("grok: error: ")
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("option", ["--jobs=0", "--count=0", "--seed=-1", "--job=2", "--folder=/dev/null/sweep"])
def test_wrong_options(grok, sweep_file, option):
    status, _, err = grok("sweep", sweep_file(parameters={"model.decoder.lr": {"value": 1e-3}}), option)
    assert status == 2
    assert option.lstrip("-").split("=")[0] in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ({"run_dir": {"values": ["a", "b"]}}, "the sweep itself gives each run its run_dir: remove this parameter"),
        ({"model.decoder.lr": {"values": [1e-3, 1e-3]}}, "model.decoder.lr has a value twice in [0.001, 0.001]"),
        ({"model.decoder.lr": {"value": 1e-3, "values": [1e-2]}}, "model.decoder.lr has both value and values"),
    ],
)
def test_what_would_be_ignored_is_refused(grok, sweep_file, parameters, wanted):
    status, _, err = grok("sweep", sweep_file(parameters=parameters), "--check")
    assert (status, len(err.splitlines())) == (2, 1)
    assert wanted in err


def test_a_least_number_of_steps_is_no_mistake(grok, sweep_file):
    parameters = {"model.decoder.lr": {"value": 1e-3}, "trainer.min_steps": {"value": 5}}
    status, out, err = grok("sweep", sweep_file(parameters=parameters), "--check")
    assert (status, "is valid" in out) == (0, True), err


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_sweep_of_the_project_has_no_mistakes(grok, monkeypatch, file):
    monkeypatch.chdir(ROOT)
    assert file.read_text().startswith("# ")
    status, out, err = grok("sweep", file, "--check")
    assert status == 0, err
    assert "is valid" in out


def test_files_that_the_page_names_exist():
    page = (ROOT / "docs/pages/how_to/sweeps.md").read_text()
    named = set(re.findall(r"configs/[\w/]+\.yaml", page))
    assert {file.name for file in SWEEPS} <= {name.rsplit("/", 1)[1] for name in named}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
