"""Callbacks and modules of Lightning and of users: monitored values, copies, own metrics, and notes asked for."""

import copy
import csv
import json
import pickle

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback, LambdaCallback
from torch.utils.data import DataLoader, TensorDataset

from grokking_pl.callbacks import RunProgress
from grokking_pl.runs import RunFolder
from grokking_pl.training import GrokkingModule
from grokking_pl.training.lightning_internals import leave_out_empty_hooks
from tests.conftest import ROOT

TOY = [
    "fit", "--config", str(ROOT / "configs/toy_addition.yaml"), "--trainer.enable_progress_bar=false",
    "--trainer.logger=[]", "--model.architecture.width=16", "--model.decoder.lr=0.01", "--model.embeddings.lr=0.01",
]  # fmt: skip


@pytest.fixture
def fit(grok, tmp_path):
    """Train, and return the run's folder and what was printed."""

    def run(*options, expect=0):
        status, out, err = grok(*TOY, f"--run_dir={tmp_path / 'run'}", *options)
        assert status == expect, err
        return RunFolder(tmp_path / "run"), out + err

    return run


def rows(folder):
    with open(folder.metrics, newline="") as file:
        return list(csv.DictReader(file))


# Monitored values are those of the latest evaluation.


def test_checkpoints_are_named_by_the_latest_evaluation(fit):
    folder, _ = fit(
        "--trainer.max_steps=60", "--data.steps_per_epoch=30", "--trainer.log_every_n_steps=10",
        "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=10",
        "--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor=train_accuracy",
        "--trainer.callbacks.save_top_k=-1", "--trainer.callbacks.filename={step}-{train_accuracy:.3f}",
    )  # fmt: skip
    accuracies = {row["step"]: f"{float(row['train_accuracy']):.3f}" for row in rows(folder) if row["train_accuracy"]}
    names = {path.name for path in folder.checkpoint.parent.iterdir()} - {"last.ckpt"}
    assert names == {f"step={step}-train_accuracy={accuracies[step]}.ckpt" for step in ("30", "60")}


class Monitored(Callback):
    """Notes what a callback that monitors would see at the end of each epoch."""

    seen: dict = {}  # noqa: RUF012 (read by the test)

    def on_train_epoch_end(self, trainer, pl_module):
        metrics = trainer.callback_metrics
        Monitored.seen[trainer.global_step] = {name: float(metrics[name]) for name in ("val_loss", "val_accuracy")}


def test_monitored_values_do_not_depend_on_what_watches(fit, grok, tmp_path):
    options = ["--trainer.max_steps=60", "--data.steps_per_epoch=30", f"--trainer.callbacks={__name__}.Monitored"]
    seen = []
    for name, tracker in (("without", []), ("with", ["--trainer.callbacks+=PhaseTracker"])):
        Monitored.seen.clear()
        status, _, err = grok(*TOY, f"--run_dir={tmp_path / name}", *options, *tracker)
        assert status == 0, err
        seen.append(dict(Monitored.seen))
    without, with_tracker = seen
    assert set(without) == {30, 60}
    for step, values in without.items():
        assert with_tracker[step] == pytest.approx(values)


# What a user asked to be told.


def test_what_is_asked_for_is_printed(grok_process, tmp_path):
    process = grok_process(
        *TOY, f"--run_dir={tmp_path / 'run'}", "--trainer.max_steps=1000000", "--trainer.max_time=00:00:00:02",
        "--data.steps_per_epoch=50", "--trainer.profiler=simple", "--trainer.enable_model_summary=true",
        "--trainer.callbacks=PhaseTracker", "--trainer.callbacks+=EarlyStopping",
        "--trainer.callbacks.monitor=train_loss", "--trainer.callbacks.verbose=true",
        "--trainer.callbacks.patience=100000",
    )  # fmt: skip
    printed = "".join(process.communicate(timeout=120))
    for asked in ("Profiler Report", "Trainable params", "Metric train_loss", "Time limit reached"):
        assert asked in printed
    for chatter in ("GPU available", "Trainer.fit", "litlogger"):
        assert chatter not in printed


# Copies.


class CopiesTrainer(Callback):
    """Does what weight averaging does: copies the module, and with it the trainer and all callbacks."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 3:
            copied = copy.deepcopy(pl_module)
            assert all(torch.equal(a, b) for a, b in zip(copied.parameters(), pl_module.parameters(), strict=True))


@pytest.mark.parametrize(
    "callback",
    [
        ["StochasticWeightAveraging", "--trainer.callbacks.swa_lrs=0.001"],
        ["EMAWeightAveraging"],
        [f"{__name__}.CopiesTrainer"],
    ],
    ids=lambda options: options[0].rpartition(".")[2],
)
def test_callbacks_that_copy_the_module(fit, callback):
    name, *options = callback
    folder, _ = fit(
        "--trainer.max_epochs=4", "--trainer.max_steps=20", "--data.steps_per_epoch=5",
        "--trainer.enable_progress_bar=true", "--trainer.callbacks=PhaseTracker",
        "--trainer.callbacks.every_n_steps=5", f"--trainer.callbacks+={name}", *options,
    )  # fmt: skip
    assert folder.read_summary()["status"] == "finished"


def test_progress_can_be_pickled():
    progress = pickle.loads(pickle.dumps(RunProgress(line_seconds=3)))
    assert progress.line_seconds == 3
    progress.print("a line")


def test_hooks_that_are_set_on_an_instance_are_called(tmp_path):
    steps = []
    callback = LambdaCallback(on_train_batch_end=lambda trainer, *rest: steps.append(trainer.global_step))
    leave_out_empty_hooks(callback, Callback)
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=4, logger=False, enable_checkpointing=False, callbacks=[callback],
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Line(), datamodule=Points())
    assert steps == [1, 2, 3, 4]


# Modules of one's own.


class Points(pl.LightningDataModule):
    def train_dataloader(self):
        x = torch.linspace(-1, 1, 40)[:, None]
        return DataLoader(TensorDataset(x, 3 * x), batch_size=8)

    val_dataloader = train_dataloader
    predict_dataloader = train_dataloader


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        loss = (self.layer(batch[0]) - batch[1]).square().mean()
        self.log("line_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_line_loss", (self.layer(batch[0]) - batch[1]).square().mean())

    def predict_step(self, batch, batch_idx):
        return {"value": self.layer(batch[0]).squeeze(1), "side": batch[0].squeeze(1).sign().int()}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Manual(Line):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        optimizer.step()


@pytest.fixture
def own(grok, tmp_path):
    def run(command, module, *options):
        status, _, err = grok(
            command, f"--model={__name__}.{module}", f"--data={__name__}.Points", f"--run_dir={tmp_path / 'run'}",
            "--trainer.enable_progress_bar=false", *options,
        )  # fmt: skip
        assert status == 0, err
        return RunFolder(tmp_path / "run")

    return run


@pytest.mark.parametrize("module", ["Line", "Manual"])
def test_own_metrics_are_in_both_records_once_and_in_order(own, module):
    folder = own("fit", module, "--trainer.max_steps=20", "--trainer.log_every_n_steps=2", "--trainer.logger=[]")
    summary = folder.read_summary()
    assert summary["status"] == "finished"
    assert summary["line_loss"] >= 0
    assert summary["val_line_loss"] >= 0
    steps = [int(row["step"]) for row in rows(folder)]
    assert steps == sorted(set(steps))
    assert set(steps) == set(range(2, 21, 2)) | {5, 15}
    at = {int(row["step"]): row for row in rows(folder)}
    assert {step for step, row in at.items() if row["line_loss"]} == set(range(2, 21, 2))
    assert {step for step, row in at.items() if row["val_line_loss"]} == {5, 10, 15, 20}


def test_predictions_by_name(own):
    folder = own("fit", "Line", "--trainer.max_steps=5", "--trainer.logger=[]")
    own("predict", "Line", "--ckpt_path=last")
    with open(folder.path / "predictions.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["sample", "value", "side"]
    assert [int(row["sample"]) for row in table] == list(range(40))
    assert {row["side"] for row in table[:20]} == {"-1"}


# Weight decay.


class Groups(Callback):
    """Notes the groups of the optimizer."""

    seen: list = []  # noqa: RUF012 (read by the test)

    def on_train_start(self, trainer, pl_module):
        assert isinstance(pl_module, GrokkingModule)
        Groups.seen[:] = [
            (g["name"], g["weight_decay"], g["decoupled_weight_decay"]) for g in trainer.optimizers[0].param_groups
        ]


def test_both_groups_decay_as_adamw_by_default(fit):
    fit(
        "--trainer.max_steps=1", "--model.embeddings.weight_decay=1.0", "--model.decoder.weight_decay=2.0",
        f"--trainer.callbacks={__name__}.Groups",
    )  # fmt: skip
    assert Groups.seen == [("embeddings", 1.0, True), ("decoder", 2.0, True)]


def test_a_percentage_below_one_gets_a_line(grok, tmp_path):
    status, _, err = grok(
        "fit", "--config", ROOT / "configs/papers/power_addition.yaml", "--data.train_percent=0.5",
        "--trainer.max_steps=1",
        "--model.architecture.width=8", "--trainer.enable_progress_bar=false", "--run_dir", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, err
    assert "train_percent is 0.5: 47 of the 9409 equations are for training" in err
    assert "for the fraction 0.5 give 50" in err
    assert json.loads((tmp_path / "run/summary.json").read_text())["steps"] == 1
