"""A run is resumed as what it was, from whole files, or not at all; and it is measured by its own checkpoint."""

import json
import re
import shutil
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import yaml

from grokking_pl import callbacks
from grokking_pl.callbacks import Reporting
from grokking_pl.errors import UserError
from grokking_pl.experiments import ExperimentBuilder
from grokking_pl.runs import RunFolder
from grokking_pl.training import GrokkingModule
from tests.conftest import ROOT
from tests.sampling import sampled

TOY = [
    "--config", str(ROOT / "configs/toy_2d_addition.yaml"), "--model.architecture.width=8", "--trainer.logger=[]",
    "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=10", "--trainer.callbacks=PhaseTracker",
    "--trainer.callbacks.every_n_steps=10", "--trainer.callbacks+=EmbeddingSnapshots", "--trainer.callbacks.count=2",
    "--trainer.callbacks+=EffectiveDimension", "--trainer.callbacks+=RunCheckpoint",
    "--trainer.callbacks.every_n_steps=15",
]  # fmt: skip
RESUME = ["--trainer.max_steps=40", "--ckpt_path=last"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(grok, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    status, _, err = grok("fit", *TOY, "--trainer.max_steps=20", "--run_dir", folder)
    assert status == 0, err
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of a finished run."""
    return RunFolder(Path(shutil.copytree(finished, tmp_path / "run")))


@pytest.fixture
def refused(grok):
    """Run a command that is to be refused on one line, and to leave every file as it is; return the line."""

    def run(command: str, folder: Path, *options: object) -> str:
        before = contents(folder)
        status, out, err = grok(command, *TOY, "--run_dir", folder, *options)
        assert (status, out) == (2, ""), err
        (line,) = [line for line in err.splitlines() if not line.startswith("run folder")]
        assert line.startswith("grok: error: ")
        after = contents(folder)
        after.pop("error.log", None)
        assert after == before
        return line

    return run


# Settings.

OTHER_SETTINGS = {
    "--model.decoder.eps=0.01": "with model.decoder.eps 1e-08, not 0.01: leave it out",
    "--model.decoder=SGD --model.decoder.lr=1": "with",
    "--model.loss=mse": "with model.loss cross_entropy, not mse",
    "--model.loss=StableMax": "with model.loss cross_entropy, not grokking_pl.training.StableMax: leave it out",
    "--model.architecture=grokking_pl.models.MLP": "with model.architecture grokking_pl.models.ToyModel, not "
    "grokking_pl.models.MLP: leave it out",
    "--model.init_seed=3": "with model.init_seed null, not 3",
    "--seed_everything=8": "with seed_everything 7, not 8",
    "--data.train_fraction=0.5": "with data.train_fraction 0.9, not 0.5",
    "--data.task.p=13": "with data.task.p 11, not 13",
    "--data.batch_size=5": "with data.batch_size",
    "--data=MNISTDataModule": "with data grokking_pl.data.AlgorithmicDataModule, not grokking_pl.data.MNISTDataModule",
    "--trainer.precision=64-true": "with trainer.precision null, not 64-true",
    "--trainer.gradient_clip_val=1": "with trainer.gradient_clip_val null, not 1",
    "--trainer.accumulate_grad_batches=2": "with trainer.accumulate_grad_batches 1, not 2",
    "--trainer.limit_train_batches=5": "with trainer.limit_train_batches null, not 5",
    "--trainer.callbacks+=lightning.pytorch.callbacks.StochasticWeightAveraging "
    "--trainer.callbacks.swa_lrs=0.1": "without trainer.callbacks.StochasticWeightAveraging: leave it out",
    f"--trainer.callbacks+={__name__}.Unknown": "without trainer.callbacks.Unknown",
    "--seed_everything=8 --model.decoder.eps=0.01": "with seed_everything 7, not 8, and with model.decoder.eps 1e-08, "
    "not 0.01: leave them out to resume, or choose a new --run_dir",
    "--model.init_seed=1 --model.decoder.eps=1 --data.seed=1 --data.task.p=12 --model.embeddings.eps=1 "
    "--data.batch_size=7 --seed_everything=1 --model.decoder.lr=1": "and 2 more that differ: leave",
}


class Unknown(pl.Callback):
    """May do anything."""


class Observer(pl.Callback, Reporting):
    """Says that it only watches."""


@pytest.mark.parametrize("options", OTHER_SETTINGS)
def test_other_settings_are_refused_by_name(refused, folder, options):
    assert OTHER_SETTINGS[options] in refused("fit", folder.path, *RESUME, *options.split())


def test_other_settings_are_refused_where_nothing_is_left_to_train(refused, folder):
    line = refused("fit", folder.path, "--trainer.max_steps=20", "--ckpt_path=last", "--model.decoder.eps=0.01")
    assert "model.decoder.eps" in line
    line = refused("fit", folder.path, "--trainer.max_steps=20", "--ckpt_path=last", "--model.decoder.lr=0.01")
    assert "nothing is left to train with model.decoder.lr 0.01: give a larger --trainer.max_steps" in line


def test_a_setting_that_was_on_the_command_line_is_to_be_given_again(grok, refused, tmp_path):
    options = ["--trainer.max_steps=10", "--model.decoder.lr=0.01", "--run_dir", tmp_path / "run"]
    assert grok("fit", *TOY, *options)[0] == 0
    line = refused("fit", tmp_path / "run", *RESUME)
    assert "with model.decoder.lr 0.01, not 0.001: give it as it was to resume, or choose a new --run_dir" in line


def test_a_run_with_a_loss_of_a_class_is_resumed_and_measured_with_it(grok, refused, tmp_path):
    run, smoothed = tmp_path / "run", ["--model.loss=CrossEntropy", "--model.loss.label_smoothing=0.3"]
    assert grok("fit", *TOY, *smoothed, "--trainer.max_steps=10", "--run_dir", run)[0] == 0
    assert "with model.loss grokking_pl.training.CrossEntropy, not cross_entropy" in refused("fit", run, *RESUME)
    other = [*smoothed[:1], "--model.loss.label_smoothing=0.2"]
    assert "with model.loss.label_smoothing 0.3, not 0.2: leave it out" in refused("fit", run, *RESUME, *other)
    assert grok("fit", *TOY, *smoothed, *RESUME, "--run_dir", run)[0] == 0
    status, out, err = grok("validate", "--config", run / "config.yaml")
    assert status == 0, err
    module = GrokkingModule.load_from_checkpoint(RunFolder(run).checkpoint)
    assert module.loss.label_smoothing == 0.3
    settings = yaml.safe_load((run / "config.yaml").read_text())
    sections = {name: settings[name] for name in ("model", "data")}
    data = ExperimentBuilder().instantiate(sections, settings["seed_everything"]).data
    data.setup("fit")
    inputs, targets = data.val_set
    expected = torch.nn.functional.cross_entropy(module.network(inputs), targets, label_smoothing=0.3)
    assert float(re.findall(r"val_loss +│ +([\d.]+)", out)[0]) == pytest.approx(float(expected), rel=1e-5)


def test_a_setting_that_stopped_a_run_cannot_go(grok, refused, tmp_path):
    early = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val_loss"]
    options = ["--trainer.max_steps=10", "--run_dir", tmp_path / "run"]
    assert grok("fit", *TOY, *early, "--trainer.callbacks.patience=3", *options)[0] == 0
    line = refused("fit", tmp_path / "run", *RESUME)
    assert (
        "with trainer.callbacks.EarlyStopping lightning.pytorch.callbacks.EarlyStopping, not without: give it" in line
    )
    line = refused("fit", tmp_path / "run", *RESUME, *early, "--trainer.callbacks.patience=4")
    assert "with trainer.callbacks.EarlyStopping.patience 3, not 4: leave it out" in line


MAY_CHANGE = [
    [],
    ["--trainer.log_every_n_steps=7", "--trainer.devices=1", "--trainer.accelerator=cpu"],
    ["--trainer.logger=true", "--trainer.enable_progress_bar=true", "--trainer.max_epochs=5"],
    ["--trainer.callbacks.every_n_steps=4", f"--trainer.callbacks+={__name__}.Observer"],
    ["--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=5", "--trainer.max_time=01:00:00:00"],
]


@pytest.mark.parametrize("options", sampled(MAY_CHANGE, 2))
def test_what_changes_no_training_may_change(grok, folder, tmp_path, options):
    status, _, err = grok("fit", *TOY, "--run_dir", folder.path, *RESUME, *options)
    assert status == 0, err
    # The record repeats the run from its beginning, elsewhere.
    recorded = yaml.safe_load(folder.config.read_text())
    assert recorded["ckpt_path"] is recorded["trainer"]["default_root_dir"] is None
    assert recorded["trainer"]["max_steps"] == 40
    assert "trainer.max_steps,40" in (folder.path / "hyperparameters.csv").read_text()
    status, _, err = grok("fit", "--config", folder.config, "--run_dir", tmp_path / "again")
    assert status == 0, err
    ours, theirs = (torch.load(run.checkpoint)["state_dict"] for run in (folder, RunFolder(tmp_path / "again")))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_checkpoint_from_elsewhere(grok, refused, finished, folder, tmp_path):
    checkpoint = RunFolder(finished).checkpoint
    resume = ["--trainer.max_steps=40", "--ckpt_path", checkpoint]
    assert "holds a finished run" in refused("fit", folder.path, *resume)
    (tmp_path / "used").mkdir()
    for name in (".lock", "notes.txt"):
        (tmp_path / "used" / name).touch()
    assert "used holds notes.txt, but the checkpoint is from another run" in refused("fit", tmp_path / "used", *resume)
    # Nor does a finished run lose its end to one from an earlier checkpoint of its own.
    early = Path(shutil.copy(checkpoint, folder.checkpoint.with_name("early.ckpt")))
    line = refused("fit", folder.path, "--trainer.max_steps=25", "--ckpt_path", early)
    assert "whose last checkpoint is not early.ckpt: train it further with --ckpt_path last" in line
    # Wherever the checkpoint is, it knows its settings.
    copied = Path(shutil.copy(checkpoint, tmp_path / "copied.ckpt"))
    options = ["--trainer.max_steps=40", "--ckpt_path", copied, "--run_dir", tmp_path / "new"]
    assert "model.decoder.eps" in grok("fit", *TOY, *options, "--model.decoder.eps=0.01")[2]
    status, _, err = grok("fit", *TOY, *options)
    assert status == 0, err
    assert yaml.safe_load((tmp_path / "new/config.yaml").read_text())["ckpt_path"] is None


# Damage.


def without(name):
    def remove(checkpoint):
        *parents, last = name
        for parent in parents:
            checkpoint = checkpoint[parent]
        del checkpoint[last]

    return remove


def with_value(name, value):
    def put(checkpoint):
        *parents, last = name
        for parent in parents:
            checkpoint = checkpoint[parent]
        assert last in checkpoint or isinstance(checkpoint, list)
        checkpoint[last] = value

    return put


LOOP = ("loops", "fit_loop")
STEP = (*LOOP, "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total", "completed")
MOMENTS = ("optimizer_states", 0, "state")
GROUP = ("optimizer_states", 0, "param_groups", 1)
DAMAGES = {
    "no optimizer states": without(["optimizer_states"]),
    "empty optimizer states": with_value(["optimizer_states"], []),
    "no moments": with_value(MOMENTS, {}),
    "moments of one weight missing": without([*MOMENTS, 3]),
    "a moment missing": without([*MOMENTS, 3, "exp_avg"]),
    "a moment of another shape": with_value([*MOMENTS, 3, "exp_avg"], torch.zeros(2)),
    "a moment of another kind": with_value([*MOMENTS, 3, "exp_avg"], "nothing"),
    "moments of other steps": with_value([*MOMENTS, 3, "step"], torch.tensor(1e9)),
    "no groups": with_value(["optimizer_states", 0, "param_groups"], []),
    "no rate": without([*GROUP, "lr"]),
    "a rate that is a word": with_value([*GROUP, "lr"], "high"),
    "a rate that is no number": with_value([*GROUP, "lr"], float("nan")),
    "a negative decay": with_value([*GROUP, "weight_decay"], -1.0),
    "one beta": with_value([*GROUP, "betas"], (0.9,)),
    "a switch that is a word": with_value([*GROUP, "maximize"], "yes"),
    "no loops": without(["loops"]),
    "empty loops": with_value(["loops"], {}),
    "empty loop": with_value(LOOP, {}),
    "no progress": without([*LOOP, "epoch_progress"]),
    "progress of another kind": with_value([*LOOP, "epoch_progress"], [1, 2]),
    "half a progress": without([*LOOP, "epoch_loop.batch_progress", "current"]),
    "negative progress": with_value(STEP, -4),
    "steps that are words": with_value(STEP, "many"),
    "other steps": with_value(STEP, 7),
    "no place in the data": with_value([*LOOP, "state_dict"], {}),
    "place in the data of another kind": with_value([*LOOP, "state_dict", "combined_loader", 0, "consumed"], "all"),
    "no step": without(["global_step"]),
    "negative step": with_value(["global_step"], -1),
    "step of another kind": with_value(["global_step"], 3.5),
    "another step": with_value(["global_step"], 19),
    "epoch of another kind": with_value(["epoch"], None),
    "no version": without(["pytorch-lightning_version"]),
    "absurd version": with_value(["pytorch-lightning_version"], "banana"),
    "future version": with_value(["pytorch-lightning_version"], "999.0.0"),
    "ancient version": with_value(["pytorch-lightning_version"], "0.0.1"),
    "version of another kind": with_value(["pytorch-lightning_version"], 2),
    "no callbacks": without(["callbacks"]),
    "callbacks of another kind": with_value(["callbacks"], [1]),
    "a callback's state of another kind": with_value(["callbacks", "PhaseTracker"], {"history": "long"}),
    "no state of a callback": without(["callbacks", "PhaseTracker"]),
    "seconds that are a word": with_value(["callbacks", "RunRecorder", "seconds"], "some"),
    "monitored values of another kind": with_value(["callbacks", "RunRecorder", "monitored"], {"val_loss": None}),
    "a learning rate that is nothing": with_value([*GROUP, "lr"], None),
    "other loops of another kind": with_value(["loops", "validate_loop"], []),
    "other sizes": with_value(["sizes", "outputs"], "many"),
    "a step of a callback that is a word": with_value(["callbacks", "EffectiveDimension", "step"], "last"),
    "no weights": with_value(["state_dict"], {}),
    "weights of another kind": with_value(["state_dict"], [1.0]),
    "a weight missing": without(["state_dict", "network.embeddings"]),
    "a weight of another shape": with_value(["state_dict", "network.embeddings"], torch.zeros(3, 2)),
    "a weight of another kind": with_value(["state_dict", "network.embeddings"], 1.0),
    "no schedulers": without(["lr_schedulers"]),
    "a scheduler too many": with_value(["lr_schedulers"], [{}]),
    "settings of another kind": with_value(["settings"], 3),
    "settings that are no settings": with_value(["settings"], "no"),
}


BY_OUTLINE_ONLY = (
    "moments of one weight missing", "no place in the data", "no state of a callback", "other loops of another kind",
    "other sizes", "a step of a callback that is a word",
)  # fmt: skip


@pytest.mark.parametrize("damage", sampled(DAMAGES, 2))
def test_a_checkpoint_that_is_damaged_inside(refused, folder, damage):
    """Even one that holds no outline of itself, as Lightning's own class writes them, but for a few."""
    checkpoint = torch.load(folder.checkpoint)
    DAMAGES[damage](checkpoint)
    if damage not in BY_OUTLINE_ONLY:
        del checkpoint["outline"]
    torch.save(checkpoint, folder.checkpoint)
    assert str(folder.checkpoint) in refused("fit", folder.path, *RESUME)


class Code:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return print, ("code in a checkpoint was run",)


def pickle_code(path):
    torch.save({**torch.load(path), "code": Code()}, path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def put_folder(path):
    path.unlink()
    path.mkdir()


def flip_bit(path):
    """In the first weights, where nothing of the format is."""
    content = bytearray(path.read_bytes())
    name, weights = next(iter(torch.load(path)["state_dict"].items()))
    content[content.index(weights.numpy().tobytes())] ^= 1
    path.write_bytes(content)
    assert not torch.equal(torch.load(path)["state_dict"][name], weights)


FILES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "cut": cut,
    "code": pickle_code,
    "a list": lambda path: torch.save([1, 2], path),
    "a folder": put_folder,
    "a flipped bit in a tensor": flip_bit,
}


@pytest.mark.parametrize("command", ["fit", "predict"])
@pytest.mark.parametrize("damage", FILES)
def test_a_file_that_is_no_checkpoint(refused, folder, command, damage):
    FILES[damage](folder.checkpoint)
    line = refused(command, folder.path, *RESUME)
    assert str(folder.checkpoint) in line
    assert "was run" not in line


@pytest.mark.parametrize("damage", [name for name in DAMAGES if "weight" in name and "moments" not in name])
def test_weights_that_are_damaged_are_not_measured(refused, folder, damage):
    checkpoint = torch.load(folder.checkpoint)
    DAMAGES[damage](checkpoint)
    torch.save(checkpoint, folder.checkpoint)
    assert str(folder.checkpoint) in refused("validate", folder.path, "--ckpt_path=last")


BINARY = bytes(range(128, 256))
RECORDS = {
    "metrics.csv": {
        "other columns": lambda path: path.write_text("a,b\n1,2\n"),
        "columns twice": lambda path: path.write_text("step,loss,loss\n1,2,3\n"),
        "binary tail": lambda path: path.write_bytes(path.read_bytes() + BINARY),
        "zeros": lambda path: path.write_bytes(path.read_bytes() + bytes(40)),
        "a longer row": lambda path: path.write_text(path.read_text() + "30" + ",1" * 40 + "\n"),
        "a cut row in the middle": lambda path: path.write_text(path.read_text() + "30,1\n40" + path.read_text()),
        "steps out of order": lambda path: path.write_text("step,loss\n20,1.0\n10,2.0\n"),
        "steps that are words": lambda path: path.write_text("step,loss\nfirst,1.0\n"),
        "empty first line": lambda path: path.write_text("\n1,2\n"),
        "a folder": put_folder,
    },
    "summary.json": {
        "empty": lambda path: path.write_text(""),
        "other content": lambda path: path.write_text("[1, 2]"),
        "no status": lambda path: path.write_text("{}"),
        "binary tail": lambda path: path.write_bytes(path.read_bytes() + BINARY),
        "cut": lambda path: path.write_bytes(path.read_bytes()[:40]),
        "a folder": put_folder,
    },
    "config.yaml": {"a folder": put_folder},
    "hyperparameters.csv": {"a folder": put_folder},
    "curves.png": {"a folder": put_folder},
    "embeddings.npz": {"a folder": put_folder},
}  # fmt: skip


@pytest.mark.parametrize(("name", "damage"), [(name, damage) for name, kinds in RECORDS.items() for damage in kinds])
def test_damaged_records_are_named(refused, folder, name, damage):
    RECORDS[name][damage](folder.path / name)
    line = refused("fit", folder.path, *RESUME)
    assert str(folder.path / name) in line
    assert re.search("restore it from a copy|move it away", line)


def test_damaged_weights_of_a_step_are_named(grok, refused, folder, tmp_path):
    stitched = ["--trainer.callbacks+=StitchedAccuracy", "--trainer.callbacks.steps=[0,15]"]
    run = RunFolder(tmp_path / "stitched")
    assert grok("fit", *TOY, *stitched, "--trainer.max_steps=20", "--run_dir", run.path)[0] == 0
    weights = run.weights / "step_00000015.npz"
    weights.write_bytes(weights.read_bytes()[:-30])
    assert str(weights) in refused("fit", run.path, *RESUME, *stitched)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/.lock").touch()
    elsewhere = ["--trainer.max_steps=40", "--ckpt_path", run.checkpoint]
    assert str(weights) in refused("fit", tmp_path / "new", *elsewhere, *stitched)


REFUSING = {
    "LotteryTicket": "the checkpoint has no initial embeddings",
    f"{__name__}.Refuses": "this callback refuses",
}


class Refuses(Observer):
    """Sees only where the training starts that it cannot watch this run."""

    def on_train_start(self, trainer, pl_module):
        raise UserError("this callback refuses")


@pytest.mark.parametrize("callback", REFUSING)
def test_a_callback_that_cannot_go_on_leaves_the_run_as_it_was(refused, folder, callback):
    assert REFUSING[callback] in refused("fit", folder.path, *RESUME, f"--trainer.callbacks+={callback}")


def test_half_a_line_at_the_end_is_what_a_killed_run_leaves(grok, finished, folder):
    whole = folder.metrics.read_text()
    folder.metrics.write_text(whole + "30,0.1")
    assert grok("fit", *TOY, "--run_dir", folder.path, *RESUME)[0] == 0
    assert folder.metrics.read_text().startswith(whole)


def test_moving_the_damaged_file_away_helps(grok, folder):
    for path in (folder.metrics, folder.summary):
        path.unlink()
    status, _, err = grok("fit", *TOY, "--run_dir", folder.path, *RESUME)
    assert status == 0, err
    assert folder.read_summary()["status"] == "finished"


# Measuring.


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_the_runs_own_checkpoint_is_measured(grok, folder, command):
    val = folder.read_summary()["val_accuracy"]
    status, out, err = grok(command, *TOY, "--run_dir", folder.path)
    assert (status, err) == (0, f"checkpoint {folder.checkpoint}\n")
    if command != "predict":
        assert float(re.findall(r"_accuracy +│ +([\d.]+)", out)[0]) == pytest.approx(val)


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_an_untrained_network_is_not_measured(grok, tmp_path, command):
    status, out, err = grok(command, *TOY, "--run_dir", tmp_path / "run")
    assert (status, out) == (2, "")
    assert err.startswith(f"grok: error: {tmp_path / 'run'} holds no checkpoint")
    assert not (tmp_path / "run").exists()


OF_LIGHTNING = [
    "ModelCheckpoint", "EarlyStopping --trainer.callbacks.monitor=val_loss", "OnExceptionCheckpoint "
    "--trainer.callbacks.dirpath=checkpoints", "LearningRateMonitor", "DeviceStatsMonitor", "ModelSummary",
    "StochasticWeightAveraging --trainer.callbacks.swa_lrs=0.1", "LearningRateFinder",
    'GradientAccumulationScheduler --trainer.callbacks.scheduling={"0":1}', "EMAWeightAveraging",
]  # fmt: skip
ABSTRACT = {"Measurement", "Reporting", "Intervention"}
LISTED = [*OF_LIGHTNING, *sorted({*callbacks.__all__} - ABSTRACT)]
LISTED_ALREADY = {"PhaseTracker", "EmbeddingSnapshots", "EffectiveDimension"}


@pytest.mark.parametrize("callback", sampled(LISTED, 3))
def test_callbacks_of_the_training_are_in_nobodys_way(grok, folder, callback):
    before = contents(folder.path)
    listed = [] if callback in LISTED_ALREADY else f"--trainer.callbacks+={callback}".split()
    other = ("RunCheckpoint", "every_n_steps=15", "progress_bar" if callback == "RunProgress" else "no other")
    options = [option for option in TOY if not any(word in option for word in other)]
    for command in ("validate", "test", "predict"):
        status, _, err = grok(command, *options, *listed, "--run_dir", folder.path)
        assert (status, *err.splitlines()[:1]) == (0, f"checkpoint {folder.checkpoint}"), err
        assert callback == "RunProgress" or len(err.splitlines()) == 1
    after = contents(folder.path)
    after.pop("predictions.csv")
    assert after == before


def test_a_trial_of_predict_writes_nothing(grok, folder):
    before = contents(folder.path)
    status, out, err = grok("predict", *TOY, "--run_dir", folder.path, "--trainer.fast_dev_run=true")
    assert (status, out) == (0, ""), err
    assert contents(folder.path) == before


def test_a_summary_says_what_happened_after_resuming(grok, folder):
    assert grok("fit", *TOY, "--run_dir", folder.path, *RESUME)[0] == 0
    summary = json.loads(folder.summary.read_text())
    assert (summary["status"], summary["steps"]) == ("finished", 40)


def test_auto_goes_on_with_a_finished_run(grok, folder):
    words = ("fit", *TOY, "--run_dir", folder.path, "--ckpt_path=auto")
    status, _, err = grok(*words, "--trainer.max_steps=20")
    assert (status, "nothing is left to train" in err) == (0, True), err
    status, _, err = grok(*words, "--trainer.max_steps=30")
    assert (status, folder.read_summary()["steps"]) == (0, 30), err


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--seed_everything=3"], "grok: the run was trained with seed_everything 7, not 3"),
        (["--data.train_fraction=0.5"], "grok: the run was trained with data.train_fraction 0.9, not 0.5"),
        (["--model.output_scale=5"], "grok: the run was trained with model.output_scale 1.0, not 5.0"),
        (["--model.decoder.lr=5"], None),
        ([], None),
    ],
)
def test_what_is_measured_otherwise_than_trained_is_named(grok, folder, options, wanted):
    status, _, err = grok("validate", *TOY, "--run_dir", folder.path, *options)
    assert status == 0, err
    assert [line for line in err.splitlines() if "was trained" in line] == ([wanted] if wanted else [])


def test_metrics_that_are_gone_are_missed(grok, folder):
    folder.metrics.unlink()
    status, _, err = grok("fit", *TOY, "--run_dir", folder.path, *RESUME)
    assert (status, f"{folder.metrics} is missing: the metrics begin anew at step 20" in err) == (0, True), err
