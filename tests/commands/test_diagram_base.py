"""What a diagram refuses of its base, by name and before any work; and what becomes of one that is finished."""

import copy

import pytest
import torch
import yaml
from lightning.pytorch import Callback

from grokking_pl.callbacks import Reporting
from grokking_pl.runs.diagram_folder import DiagramFolder
from grokking_pl.training import GrokkingModule
from tests.conftest import ROOT

BASE = yaml.safe_load((ROOT / "configs/toy_addition.yaml").read_text())
BASE["model"]["init_args"]["architecture"]["init_args"]["width"] = 8
AXES = {"model.decoder.lr": {"scale": "log", "low": 1e-5, "high": 1e-3, "n": 3}}


class Doubles(Callback):
    """Changes the training."""

    def on_after_backward(self, trainer, pl_module):
        for parameter in pl_module.parameters():
            parameter.grad *= 2


class Watches(Callback, Reporting):
    """Says that it only watches."""


class Clips(GrokkingModule):
    """Has a step of its own."""

    def on_after_backward(self):
        """Clip."""


@pytest.fixture
def diagram(grok, tmp_path):
    """Run a diagram of three cells over a changed base; return its status, errors and folder."""

    def run(change=lambda base: None, *options, **keys):
        base = copy.deepcopy(BASE)
        change(base)
        (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
        given = {"base": "base.yaml", "axes": AXES, "steps": 5, "compile": False, "device": "cpu", "workers": 1}
        (tmp_path / "diagram.yaml").write_text(yaml.safe_dump({**given, **keys}))
        config, folder = tmp_path / "diagram.yaml", tmp_path / "folder"
        status, _, err = grok("diagram", "--config", config, "--folder", folder, *options)
        return status, err, folder

    return run


def set_trainer(**options):
    return lambda base: base["trainer"].update(options)


def set_model(**options):
    return lambda base: base["model"].update(options)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (set_trainer(gradient_clip_val=-1.0), "trainer.gradient_clip_val -1.0"),
        (set_trainer(gradient_clip_val=1.0, gradient_clip_algorithm="max"), "trainer.gradient_clip_algorithm 'max'"),
        (set_trainer(accumulate_grad_batches=0.5), "trainer.accumulate_grad_batches 0.5"),
        (set_trainer(accumulate_grad_batches=7), "an epoch's 1000 batches cannot be divided by it"),
        (set_trainer(precision="bf16-mixed"), "trainer.precision 'bf16-mixed'"),
        (set_trainer(overfit_batches=2), "trainer.overfit_batches 2"),
        (set_trainer(max_time="00:00:01:00"), "trainer.max_time"),
        (set_trainer(callbacks=["EarlyStopping"]), "the callback EarlyStopping"),
        (set_trainer(callbacks=[{"class_path": f"{__name__}.Doubles"}]), "Doubles"),
        (set_trainer(callbacks="NoSuchCallback"), "NoSuchCallback"),
        (set_model(class_path=f"{__name__}.Clips"), "Clips overrides on_after_backward"),
    ],
)
def test_what_cannot_be_honoured_is_refused(diagram, change, wanted):
    status, err, folder = diagram(change)
    assert status == 2
    assert wanted in err
    assert len(err.splitlines()) == 1
    assert not folder.exists()


def test_what_changes_no_training_is_taken(diagram):
    watchers = ["PhaseTracker", "LearningRateMonitor", {"class_path": f"{__name__}.Watches"}]
    harmless = {"accumulate_grad_batches": 1, "gradient_clip_val": None, "precision": 32, "callbacks": watchers}
    status, err, _ = diagram(set_trainer(**harmless))
    assert status == 0, err


def test_criteria_of_the_base_that_are_not_used_are_named(diagram):
    tracker = {"train_threshold": 0.2, "val_threshold": 0.9, "delay": 3, "every_n_steps": 7}
    callbacks = [
        {"class_path": "PhaseTracker", "init_args": tracker},
        {"class_path": "grokking_pl.callbacks.RepresentationQuality", "init_args": {"threshold": 0.5}},
    ]
    status, err, _ = diagram(set_trainer(callbacks=callbacks))
    assert status == 0, err
    assert [line for line in err.splitlines() if "of the base" in line] == [
        f"{line}: a diagram has its own"
        for line in (
            "phase.train_threshold is 0.9, although PhaseTracker of the base has train_threshold 0.2",
            "phase.delay is 1000, although PhaseTracker of the base has delay 3",
            "observe.rqi_threshold is 0.95, although RepresentationQuality of the base has threshold 0.5",
        )
    ]


def test_optimizers_and_options_of_the_trainer_are_axes(diagram):
    axes = {
        "model.decoder": ["SGD", {"class_path": "Lion", "init_args": {"lr": 0.01}}, {"lr": 0.001}],
        "trainer.gradient_clip_val": [0.25, 1],
    }
    change = set_trainer(gradient_clip_val=0.5, accumulate_grad_batches=2, precision="64-true")
    status, err, folder = diagram(change, axes=axes, set={"model.schedule": {"warmup_steps": 50}})
    assert status == 0, err
    assert "the schedule takes 50 steps, but the run ends after 5" in err
    rows = (folder / "runs.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows[:2]] == ["SGD"] * 2
    assert len(rows) == 6


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"axes": {"model.decoder": ["SGD", "RMSprop"]}}, "cannot train with RMSprop: choose Adam"),
        ({"axes": {"model.decoder": ["SGD", "SDG"]}}, "there is no class SDG"),
        (
            {"axes": {"model.decoder": [{"class_path": "SGD", "init_args": {"momentun": 0.9}}]}},
            "there is no option momentun: did you mean momentum?",
        ),
        ({"axes": {"model.decoder.lr": [0.1, "high", 0.2]}}, "high"),
        ({"axes": {"model.decoder.lr": [0.1, -1, 0.2]}}, "lr is -1"),
        ({"axes": {"model.decoder.lr": [0.1, None]}}, "lr is None"),
        ({"axes": {"x": {"paths": ["model.decodr.lr"], "values": [1]}}}, "did you mean model.decoder.lr?"),
        ({"set": {"model.decoder.lr": float("nan")}, "axes": {"model.decoder.weight_decay": [1]}}, "lr is nan"),
        ({"seeds": [-1]}, "a seed is -1"),
    ],
)
def test_every_value_is_checked_before_any_work(diagram, keys, wanted):
    status, err, folder = diagram(**keys)
    assert status == 2, err
    assert wanted in err
    assert len(err.splitlines()) == 1
    assert not folder.exists()


def test_the_seed_is_that_of_the_base(diagram):
    status, err, folder = diagram()
    assert status == 0, err
    assert {line.split(",")[1] for line in (folder / "runs.csv").read_text().splitlines()[1:]} == {"58"}


def test_values_are_printed_as_written(diagram):
    _, err, folder = diagram()
    first = [line.split(",")[0] for line in (folder / "runs.csv").read_text().splitlines()[1:]]
    assert first == ["1e-05", "0.0001", "0.001"], err
    assert len(DiagramFolder(folder, {"model.decoder.lr": [1e-5, 1e-4, 1e-3]}, [58]).finished()) == 3


def test_a_short_name_is_the_column(diagram):
    decay = {"paths": ["model.embeddings.weight_decay", "model.decoder.weight_decay"], "label": "weight decay"}
    status, err, folder = diagram(axes={"decay": {**decay, "values": [0, 1.5]}})
    assert status == 0, err
    assert (folder / "runs.csv").read_text().startswith("decay,seed,")
    assert "weight decay" in (folder / "phases.svg").read_text() or (folder / "phases.svg").stat().st_size


def test_a_short_name_for_data_draws_the_data_anew(diagram):
    """Cells share their samples only where no axis changes them, whatever it is called."""
    status, err, folder = diagram(axes={"split": {"paths": ["data.seed"], "values": [1, 2]}})
    assert status == 0, err
    rows = [line.split(",") for line in (folder / "runs.csv").read_text().splitlines()]
    status, err, _ = diagram(lambda base: None, "--folder", folder.parent / "long", axes={"data.seed": [1, 2]})
    assert status == 0, err
    long = [line.split(",") for line in (folder.parent / "long/runs.csv").read_text().splitlines()]
    assert rows[1:] == long[1:]
    assert rows[1][2:] != rows[2][2:]


def test_a_finished_diagram_is_tidied_and_redrawn(diagram):
    _, err, folder = diagram()
    table = (folder / "runs.csv").read_text()
    header, *rows = table.splitlines(keepends=True)
    curves = (folder / "curves.csv").read_text()
    # As if a job of two processes had been killed after its last run, and while it drew.
    (folder / "runs.csv").write_text(header + rows[2])
    (folder / "runs.rank1.csv").write_text(rows[1] + rows[0])
    (folder / "runs_backup.csv").write_text("the user's\n")
    (folder / "runs.rank_mine.csv").write_text("the user's too\n")
    (folder / "checkpoints").mkdir(exist_ok=True)
    torch.save({}, folder / "checkpoints/rank_0_0.pt")
    (folder / "phases.svg").unlink()
    status, err, _ = diagram()
    assert status == 0, err
    assert (folder / "runs.csv").read_text() == table
    assert (folder / "curves.csv").read_text() == curves
    assert (folder / "phases.svg").stat().st_size > 0
    assert sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != ".lock") == [
        "curves.csv", "diagram.json", "phases.png", "phases.svg", "runs.csv", "runs.rank_mine.csv", "runs_backup.csv",
    ]  # fmt: skip
    assert not list((folder / "checkpoints").iterdir())
