"""The base of callbacks that measure every so many steps, and the last checkpoint, wherever a run ends."""

import json
import re
from datetime import timedelta

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint

from grokking_pl import callbacks
from grokking_pl.callbacks import Measurement, RunCheckpoint
from grokking_pl.data import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.runs import CSVMetrics, RunFolder
from grokking_pl.sizes import Sizes

EPOCH = 7


class Steps(Measurement):
    """Measures the number of updates made."""

    def measure(self, trainer, pl_module):
        return {"updates": trainer.global_step}


class Many(Steps):
    """The same, of which several wait before they are evaluated."""

    thins_log = True
    most_pending = 3

    def measure(self, trainer, pl_module):
        return {"waiting": torch.tensor(trainer.global_step)}

    def keep(self, step, measured):
        super().keep(step, measured)
        self.state.setdefault("steps", []).append((step, self.values["waiting"]))


class StopAt(pl.Callback):
    """Ends the run, in the hook that it is told."""

    def __init__(self, step, hook):
        self.step = step
        setattr(self, hook, self.stop)

    def stop(self, trainer, pl_module, *args):
        trainer.should_stop = trainer.should_stop or trainer.global_step >= self.step


class Points(TensorDataModule):
    """Eight points."""

    def load(self):
        self.inputs = self.targets = torch.linspace(0, 1, 8)[:, None]
        self.num_train, self.class_targets, self.sizes = 6, None, Sizes(1, 1)


class Line(pl.LightningModule):
    """A line through them."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return (self.layer(batch[0]) - batch[1]).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("error", (self.layer(batch[0]) - batch[1]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(folder, watching, ckpt_path=None, **options):
    torch.manual_seed(0)
    trainer = pl.Trainer(
        accelerator="cpu", logger=CSVMetrics(folder / "metrics.csv"),
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in watching),
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=folder,
        callbacks=watching, **{"max_steps": -1, "log_every_n_steps": 5, **options},
    )  # fmt: skip
    trainer.fit(Line(), Points(batch_size=4, steps_per_epoch=EPOCH), ckpt_path=ckpt_path)
    return trainer


def logged(folder, column="updates"):
    metrics = pd.read_csv(folder / "metrics.csv").set_index("step")
    return metrics[column].dropna().astype(int).to_dict()


ENDS = {
    "max_steps": (13, {"max_steps": 13}, []),
    "max_epochs": (14, {"max_epochs": 2}, []),
    "stop after a batch": (11, {}, [StopAt(11, "on_train_batch_end")]),
    "stop after a validation": (6, {"val_check_interval": 3}, [StopAt(5, "on_validation_end")]),
    "stop after an epoch": (14, {}, [StopAt(8, "on_train_epoch_end")]),
    "accumulated batches": (5, {"max_steps": 5, "accumulate_grad_batches": 3}, []),
    "accumulated epochs": (6, {"max_epochs": 2, "accumulate_grad_batches": 3}, []),
    "max_time": (1, {"max_time": timedelta(microseconds=1), "max_steps": 1000}, []),
}


@pytest.mark.parametrize("every", [1, 4, 100])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("first", [True, False])
def test_measures_the_beginning_multiples_and_the_end_wherever_it_is(tmp_path, end, every, first):
    last, options, others = ENDS[end]
    each_step, waiting = Steps(every), Many(every)
    watching = [each_step, waiting]
    trainer = fit(tmp_path, [*watching, *others] if first else [*others, *watching], **options)
    assert trainer.global_step == last
    expected = sorted({*range(0, last + 1, every), last})
    assert waiting.state["steps"] == [(step, step) for step in expected]
    assert logged(tmp_path) == {step: step for step in expected}
    for measurement, name in zip(watching, ("updates", "waiting"), strict=True):
        assert measurement.summary() == measurement.values == {name: last}


def test_thinned_log_has_one_measurement_in_an_interval_early_ones_and_the_last(tmp_path):
    fit(tmp_path, [Many(2)], max_steps=23, log_every_n_steps=6)
    assert list(logged(tmp_path, "waiting")) == [0, 2, 4, 6, 12, 18, 23]
    fit(tmp_path / "each", [Many(1)], max_steps=43, log_every_n_steps=20)
    assert list(logged(tmp_path / "each", "waiting")) == [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 40, 43]
    fit(tmp_path / "never", [Many(2)], max_steps=23, log_every_n_steps=0)
    assert list(logged(tmp_path / "never", "waiting")) == [23]


@settings(max_examples=15)
@given(parts=st.lists(st.integers(1, 9), min_size=1, max_size=4), every=st.integers(1, 5))
def test_resumed_run_measures_no_step_again(tmp_path_factory, parts, every):
    folder, steps, ends = tmp_path_factory.mktemp("parts"), [], [0]
    for part in parts:
        measurement = Many(every)
        path = RunFolder(folder).checkpoint if len(ends) > 1 else None
        fit(folder, [measurement, RunCheckpoint()], path, max_steps=ends[-1] + part)
        ends.append(ends[-1] + part)
        steps = [step for step, _ in measurement.state["steps"]]
    assert steps == sorted({*range(0, ends[-1] + 1, every), *ends})


@pytest.mark.parametrize("end", ENDS)
def test_a_run_that_ended_anywhere_can_be_extended(tmp_path, end):
    last, options, others = ENDS[end]
    fit(tmp_path / "first", [Steps(4), *others, RunCheckpoint()], **options)
    checkpoint = torch.load(RunFolder(tmp_path / "first").checkpoint)
    assert checkpoint["global_step"] == last
    assert checkpoint["callbacks"]["Steps"]["values"] == {"updates": last}
    same = {name: value for name, value in options.items() if name in ("accumulate_grad_batches", "val_check_interval")}
    longer = fit(tmp_path / "longer", [Steps(4)], RunFolder(tmp_path / "first").checkpoint, max_steps=last + 9, **same)
    whole = fit(tmp_path / "whole", [], max_steps=last + 9, **same)
    assert longer.global_step == whole.global_step
    for ours, theirs in zip(longer.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_what_is_measured_can_be_monitored(tmp_path):
    stopping = EarlyStopping("updates", mode="min", patience=2, check_on_train_epoch_end=True)
    trainer = fit(tmp_path, [Steps(1), stopping], max_epochs=50)
    assert trainer.global_step == 3 * EPOCH  # the first epoch's value is the best
    assert float(trainer.callback_metrics["updates"]) == 3 * EPOCH


@pytest.mark.parametrize("options", [{"save_on_train_epoch_end": False}, {"every_n_train_steps": 2}])
def test_checkpoints_written_in_any_hook_hold_all_up_to_them(tmp_path, options):
    keeping = ModelCheckpoint(tmp_path / "kept", filename="{step}", save_top_k=-1, **options)
    fit(tmp_path, [Many(1), keeping], max_steps=2 * EPOCH)
    paths = sorted((tmp_path / "kept").glob("*.ckpt"))
    assert paths
    for path in paths:
        checkpoint = torch.load(path)
        steps = [step for step, _ in checkpoint["callbacks"]["Many"]["state"]["steps"]]
        assert steps == list(range(checkpoint["global_step"] + 1))


def test_last_values_of_a_run_of_epochs_reach_all_files(grok, tmp_path):
    status, _, err = grok(
        "fit", "--config", "configs/toy_addition.yaml", "--trainer.max_steps=1000", "--trainer.max_epochs=1",
        "--data.steps_per_epoch=33", "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=20",
        "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=20",
        "--trainer.callbacks+=RepresentationQuality", "--trainer.callbacks.every_n_steps=1",
        "--trainer.callbacks+=EffectiveDimension", "--trainer.callbacks+=WeightNorms",
        "--trainer.callbacks+=FourierSpectrum", "--trainer.callbacks+=EmbeddingNorm",
        "--trainer.callbacks+=EffectiveTheory", "--trainer.callbacks+=EmbeddingSnapshots", "--run_dir", tmp_path,
    )  # fmt: skip
    assert status == 0, err
    last = pd.read_csv(tmp_path / "metrics.csv").iloc[-1]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert last.step == summary["steps"] == torch.load(tmp_path / "checkpoints/last.ckpt")["global_step"] == 33
    names = (
        "train_accuracy", "val_loss", "rqi", "predicted_accuracy", "effective_dimension", "weight_norm_decoder",
        "key_power", "embedding_norm",
    )  # fmt: skip
    for name in names:
        assert last[name] == pytest.approx(summary[name]), name
    assert last.phase_name == summary["phase"]
    for file, name in (("embeddings.npz", "steps"), ("trajectories.npz", "network_steps")):
        with np.load(tmp_path / file) as arrays:
            assert arrays[name][-1] == 33


MEASUREMENTS = sorted(
    name for name in callbacks.__all__ if issubclass(getattr(callbacks, name), Measurement) and name != "Measurement"
)


@pytest.mark.parametrize("name", [*MEASUREMENTS, "RunCheckpoint"])
def test_steps_between_measurements_out_of_range(name):
    assert len(MEASUREMENTS) == 20
    for value in (0, -3):
        with pytest.raises(UserError, match=rf"^{name}: every_n_steps is {value}; it must be at least 1$"):
            getattr(callbacks, name)(every_n_steps=value)


def test_the_base_measures_nothing():
    with pytest.raises(TypeError, match="abstract"):
        Measurement()


class Returning(Steps):
    """A user's own, which returns what it is told."""

    def __init__(self, returned):
        super().__init__(5)
        self.returned = returned

    def measure(self, trainer, pl_module):
        return self.returned


@pytest.mark.parametrize("value", [torch.tensor(0.5), torch.tensor([0.5]), np.float32(0.5), np.array(0.5), 0.5])
def test_numbers_of_any_kind_are_numbers(tmp_path, value):
    measurement = Returning({"value": value})
    fit(tmp_path, [measurement], max_steps=5)
    assert json.loads(json.dumps(measurement.summary())) == {"value": 0.5}


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [
        (None, "Returning: measure returns NoneType; it must return a dictionary of values"),
        (0.5, "Returning: measure returns float; it must return a dictionary of values"),
        ({"value": torch.zeros(2)}, "Returning: value is a Tensor; measure must return numbers or words"),
        ({"value": None}, "Returning: value is a NoneType; measure must return numbers or words"),
        ({"step": 1}, "Returning: measure returns a value named 'step'"),
        ({1: 1}, "Returning: measure returns a value named 1"),
        ({"updates": 0.5}, "Returning and Steps both measure updates: give one of them another name"),
    ],
)
def test_other_values_are_refused_at_the_start(tmp_path, returned, wanted):
    with pytest.raises(UserError, match=re.escape(wanted)):
        fit(tmp_path, [Steps(5), Returning(returned)], max_steps=5)
