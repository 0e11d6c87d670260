"""Metrics and the whole configuration, flat, reach every logger; W&B never asks and never waits."""

import csv
import os

import pytest
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from grokking_pl.experiments import flatten
from grokking_pl.runs.wandb_run import why_offline

EXPECTED = {
    "seed_everything": "0",
    "model": "grokking_pl.training.GrokkingModule",
    "model.architecture": "grokking_pl.models.MLP",
    "model.architecture.width": "8",
    "model.decoder.weight_decay": "0.1",
    "model.decoder.betas.0": "0.9",
    "trainer.callbacks.PhaseTracker.every_n_steps": "10",
    "data": "grokking_pl.data.MNISTDataModule",
    "data.train_size": "45",
}


@pytest.fixture
def without_key(monkeypatch, tmp_path):
    """No key for W&B, neither in the environment nor in the user's files."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    yield
    wandb.teardown()  # it keeps for the whole process what it has read of the environment


def test_configuration_and_metrics_in_every_logger(grok, small_mnist, tmp_path, without_key):
    run_dir = tmp_path / "run"
    status, _, err = grok(
        "fit",
        *small_mnist,
        "--trainer.logger=TensorBoardLogger",
        f"--trainer.logger.save_dir={run_dir}",
        "--trainer.logger.name=",
        "--trainer.logger.version=tensorboard",
        "--trainer.logger+=grokking_pl.runs.WandbRun",
        "--run_dir",
        run_dir,
    )
    assert status == 0, err

    with open(run_dir / "hyperparameters.csv", newline="") as file:
        rows = {row["name"]: row["value"] for row in csv.DictReader(file)}
    assert {name: rows[name] for name in EXPECTED} == EXPECTED

    events = EventAccumulator(str(run_dir / "tensorboard")).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    hyperparameters = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert hyperparameters["data.train_size"].number_value == 45
    assert hyperparameters["model.architecture"].string_value == "grokking_pl.models.MLP"
    assert {name for name in rows if name not in hyperparameters} == set()
    scalars = {event.step: event.value for event in events.Scalars("val_accuracy")}
    with open(run_dir / "metrics.csv", newline="") as file:
        metrics = {int(row["step"]): row for row in csv.DictReader(file)}
    assert scalars.keys() == metrics.keys() == {0, 10, 20, 30}
    for step, value in scalars.items():
        assert value == pytest.approx(float(metrics[step]["val_accuracy"]), rel=1e-6)

    (offline,) = (run_dir / "wandb").glob("offline-run-*")
    (record,) = offline.glob("run-*.wandb")
    records = read_wandb(record)
    assert b"grokking_pl.models.MLP" in records
    assert [name for name in [*rows, "val_accuracy"] if name.encode() not in records] == []
    told = [line for line in err.splitlines() if "wandb" in line.lower() or "W&B" in line]
    assert told == [f"W&B is offline (no API key); to upload: wandb sync {run_dir}/wandb/offline-run-*"]


def read_wandb(path) -> bytes:
    """The records of an offline run of W&B, one after the other, without the headers that cut them into blocks."""
    content, records, at = path.read_bytes(), b"", 7
    while at + 7 <= len(content):
        room = 2**15 - at % 2**15
        if room < 7:
            at += room
            continue
        length = int.from_bytes(content[at + 4 : at + 6], "little")
        records += content[at + 7 : at + 7 + length]
        at += 7 + length
    return records


def test_wandb_is_offline_without_a_key(without_key):
    assert why_offline() == "no API key"


def test_wandb_is_offline_without_a_network(without_key, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert why_offline() == "no connection to 127.0.0.1"


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_wandb_mode_of_the_user(without_key, monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    assert why_offline() == f"WANDB_MODE={mode}"


def test_flatten():
    config = {
        "trainer": {"max_steps": 5, "callbacks": [{"class_path": "a.B", "init_args": {"n": 1, "names": []}}]},
        "model": {"class_path": "c.D", "init_args": {"architecture": {"class_path": "e.F", "init_args": {}}}},
        "run_dir": None,
    }
    assert flatten(config) == {
        "trainer.max_steps": 5,
        "trainer.callbacks.B": "a.B",
        "trainer.callbacks.B.n": 1,
        "model": "c.D",
        "model.architecture": "e.F",
        "run_dir": None,
    }
