"""``gp.fit``, ``gp.diagram`` and ``gp.load``: runs and diagrams as objects, resumed and never overwritten."""

import re
import signal
from functools import partial

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

import grokking_pl as gp
from grokking_pl.interface.notebook import png
from tests.conftest import ROOT

SMALL = {
    "model.architecture.width": 8,
    "trainer.max_steps": 30,
    "trainer.log_every_n_steps": 10,
    "trainer.enable_progress_bar": False,
}
GRID = {
    "base": "toy_addition",
    "set": {"model.architecture.width": 8},
    "axes": {"model.decoder.lr": [1e-3, 1e-2]},
    "steps": 5,
    "workers": 1,
    "compile": False,
    "device": "cpu",
}


class Wide(gp.models.ToyModel):
    """A network of one's own."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return gp.fit("toy_addition", SMALL, run_dir=tmp_path_factory.mktemp("fit") / "run")


@pytest.fixture(scope="module")
def diagram(tmp_path_factory):
    return gp.diagram(GRID, folder=tmp_path_factory.mktemp("diagram") / "d")


def weights(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def test_a_run_as_an_object(run):
    assert run.summary["steps"] == 30
    assert run.summary["status"] == "finished"
    assert isinstance(run.metrics, pd.DataFrame)
    assert run.metrics["step"].is_monotonic_increasing
    assert run.config["model"]["init_args"]["architecture"]["init_args"]["width"] == 8
    snapshots = run.embeddings
    assert snapshots.values.shape == (len(snapshots.steps), 10, 1)
    assert snapshots.symbols == tuple(map(str, range(10)))
    assert np.array_equal(snapshots.at(29), snapshots.values[-1])
    network = run.network()
    assert not network.training
    assert np.array_equal(network.embeddings.detach(), snapshots.values[-1].astype(np.float32))
    assert gp.rqi(snapshots.values, gp.tasks.addition(10))[-1] == pytest.approx(run.summary["rqi"])
    assert isinstance(run.figure(), Figure)
    assert png(run.figure()).startswith(b"\x89PNG")
    assert run.report().read_text().startswith("<!")
    assert run.summary["phase"] in repr(run)
    assert "<table>" in run._repr_html_()


def test_data_and_network_give_the_accuracy_of_the_summary(run):
    data, module = run.data(), run.module()
    outputs = module.network(data.inputs[data.num_train :])
    hits = module.predict_class(outputs) == module.true_class(data.targets[data.num_train :])
    assert float(hits.float().mean()) == pytest.approx(run.summary["val_accuracy"])


def test_what_is_loaded_is_the_same(run):
    loaded = gp.load(str(run.path))
    assert loaded == run
    assert loaded.summary == run.summary
    assert torch.equal(weights(loaded.network()), weights(run.network()))


def test_a_checkpoint_of_a_run_is_one_of_lightning(run):
    module = gp.GrokkingModule.load_from_checkpoint(run.checkpoint)
    assert torch.equal(weights(module.network), weights(run.network()))


def test_resumes_and_overwrites_nothing(tmp_path, capsys):
    whole = gp.fit("toy_addition", SMALL, run_dir=tmp_path / "whole")
    part = gp.fit("toy_addition", {**SMALL, "trainer.max_steps": 10}, run_dir=tmp_path / "part")
    written = part.checkpoint.stat().st_mtime_ns
    again = gp.fit("toy_addition", {**SMALL, "trainer.max_steps": 10}, run_dir=tmp_path / "part")
    assert again.checkpoint.stat().st_mtime_ns == written
    assert "nothing is left to train" in capsys.readouterr().err
    with pytest.raises(gp.UserError, match=r"^the run was trained with data\.train_count 45, not 40"):
        gp.fit("toy_addition", SMALL, run_dir=tmp_path / "part", data__train_count=40)
    further = gp.fit("toy_addition", SMALL, run_dir=tmp_path / "part")
    assert further.summary["steps"] == 30
    assert torch.equal(weights(further.network()), weights(whole.network()))
    assert part.summary["steps"] == 30  # read when it was first asked for


def test_overrides(tmp_path):
    run = gp.fit(
        ["toy_addition", {"seed_everything": 3}],
        {"model.architecture": partial(Wide, width=9), "data.task.p": np.int64(7), "data.train_count": 12},
        run_dir=tmp_path / "run",
        trainer__max_steps=2,
        trainer__callbacks=[{"class_path": gp.callbacks.PhaseTracker}],
        model__schedule=gp.Schedule(warmup_steps=1),
    )
    assert type(run.network()).__name__ == "Wide"
    assert run.network().decoder[0].out_features == 9
    assert run.summary["seed"] == 3
    assert run.data().table.p == 7
    assert run.config["model"]["init_args"]["schedule"]["warmup_steps"] == 1
    with pytest.raises(gp.UserError, match="has no embeddings"):
        _ = run.embeddings


@pytest.mark.parametrize(
    ("config", "options", "wanted"),
    [
        ("toy_adition", {}, "there is no configuration toy_adition: did you mean toy_addition?"),
        (
            "toy_addition",
            {"trainer__max_step": 3},
            "there is no option trainer.max_step: did you mean --trainer.max_steps?",
        ),
        ("toy_addition", {"data__train_count": 0}, "train_count is 0; it must be at least 1"),
        ("toy_addition", {"model__architecture": lambda sizes: None}, "model.architecture is <function"),
        ("toy_addition", {"overrides": {"seed_everything": 1}, "seed_everything": 2}, "seed_everything is given twice"),
        ({"seed_everything": 1}, {"run_dir": None}, "a configuration without a file has no name"),
        ("toy_addition", {"run_dir": ""}, "run_dir is empty"),
        (3, {}, "the configuration is int"),
        (None, {}, "the configuration is missing"),
        (None, {"fork": "runs/toy", "run_dir": None}, "no configuration is given, which would name the folder"),
        (
            "toy_classification",
            {"data__task": gp.tasks.modular_addition(7)},
            "data.task is an object of OperationTable, which no configuration can hold",
        ),
    ],
)
def test_errors_are_the_lines_of_the_command(tmp_path, config, options, wanted):
    with pytest.raises(gp.UserError, match=re.escape(wanted)) as error:
        gp.fit(config, **{"run_dir": tmp_path / "run", **options})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run/checkpoints").exists()


class Stop(pl.Callback):
    """Presses Ctrl-C at step 7."""

    def on_train_batch_end(self, trainer, *arguments):
        if trainer.global_step == 7:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_a_cell(tmp_path):
    stopping = {"trainer.callbacks+": Stop}  # in the list of the configuration
    with pytest.raises(KeyboardInterrupt, match="stopped by SIGINT at step 7; the same call resumes it"):
        gp.fit("toy_addition", {**SMALL, **stopping}, run_dir=tmp_path / "run")
    assert gp.load(tmp_path / "run").summary["status"] == "interrupted"
    assert gp.fit("toy_addition", {**SMALL, **stopping}, run_dir=tmp_path / "run").summary["steps"] == 30


def test_a_diagram_as_an_object(diagram, capsys):
    assert diagram.finished
    assert [*diagram.axes] == ["model.decoder.lr"]
    assert diagram.runs["model.decoder.lr"].tolist() == [1e-3, 1e-2]
    assert {*diagram.curves["step"]} <= {*range(6)}
    assert (diagram.summary["runs"], diagram.summary["steps"]) == (2, 5)
    assert isinstance(diagram.figure(), Figure)
    assert diagram.report().exists()
    assert "2 runs over model.decoder.lr" in repr(diagram)
    assert "<table>" in diagram._repr_html_()
    table = (diagram.path / "runs.csv").read_bytes()
    assert gp.load(diagram.path) == diagram
    again = gp.diagram(GRID, folder=diagram.path)
    assert "holds this diagram, finished" in capsys.readouterr().err
    assert (again.path / "runs.csv").read_bytes() == table
    pd.testing.assert_frame_equal(again.runs, pd.read_csv(diagram.path / "runs.csv"))
    with pytest.raises(gp.UserError, match="holds another diagram"):
        gp.diagram(GRID, folder=diagram.path, steps=6)


def test_a_diagram_that_has_not_ended(diagram, tmp_path):
    lines = (diagram.path / "runs.csv").read_text().splitlines(keepends=True)
    (tmp_path / "diagram.json").write_bytes((diagram.path / "diagram.json").read_bytes())
    begun = gp.load(tmp_path)
    with pytest.raises(gp.UserError, match="no run of the diagram"):
        begun.figure()
    (tmp_path / "runs.csv").write_text("".join(lines[:2]))
    (tmp_path / "runs.rank1.csv").write_text(lines[2][:5])  # half a line of a process that was killed
    half = begun.reload()
    assert (len(half.runs), half.finished, half.curves.empty) == (1, False, True)


def test_folders_that_are_neither(tmp_path, run):
    with pytest.raises(gp.UserError, match="does not exist: give the folder of a run or of a diagram"):
        gp.load(tmp_path / "nowhere")
    with pytest.raises(gp.UserError, match=re.escape("is neither a run (summary.json, metrics.csv) nor a diagram")):
        gp.load(tmp_path)
    with pytest.raises(gp.UserError, match=re.escape(f"it contains one, {run.path}")):
        gp.load(run.path.parent)


def test_damaged_files(run, tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    broken = gp.load(tmp_path)
    with pytest.raises(gp.UserError, match="has no model section"):
        broken.network()
    (tmp_path / "config.yaml").write_text(run.folder.config.read_text())
    with pytest.raises(gp.UserError, match="does not exist"):
        broken.reload().network()
    with pytest.raises(gp.UserError, match="is not a checkpoint, or is corrupt"):
        broken.reload().network(ROOT / "pyproject.toml")
    (tmp_path / "config.yaml").write_text(run.folder.config.read_text().replace("width: 8", "width: 7"))
    with pytest.raises(gp.UserError, match="does not fit"):
        broken.reload().network(run.checkpoint)


def test_a_run_too_short_to_log_anything(tmp_path):
    settings = {"trainer.callbacks": ["GradientFilter"], "trainer.max_steps": 3}
    run = gp.fit("toy_addition", settings, run_dir=tmp_path / "run")
    assert (run.summary["steps"], len(run.metrics)) == (3, 0)


def test_nothing_to_compare():
    with pytest.raises(gp.UserError, match="there are no runs to compare"):
        gp.compare([])
