"""A population trains with every loss, and with scaled outputs, as `grok fit` does."""

import pandas as pd
import pytest
import torch

from grokking_pl.experiments import set_value
from grokking_pl.population import training
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import MemberBuilder
from grokking_pl.training import Loss
from tests.conftest import ROOT
from tests.population.test_equals_fit import fit, make_batch, settings_of


class Hinge(Loss):
    """A user's own: how far the right output is from being larger than each other by 1."""

    needs = "class numbers"

    def __init__(self, margin: float = 1.0):
        self.margin = margin

    def __call__(self, outputs, targets):
        right = outputs.gather(-1, targets[:, None])
        return (self.margin + outputs - right).relu().mean(-1)


class Absolute(Loss):
    """Another, of vectors."""

    def __call__(self, outputs, targets):
        return (outputs - targets).abs().mean(-1)


class Undecided(Loss):
    """What no batch can train."""

    def __call__(self, outputs, targets):
        return outputs.square().sum(-1) if outputs.sum() > 0 else outputs.abs().sum(-1)


OWN = f"{__name__}.Hinge"
LOSSES = {
    "smoothed": ("classification", {"class_path": "CrossEntropy", "init_args": {"label_smoothing": 0.1}}),
    "16 bits": ("classification", {"class_path": "CrossEntropy", "init_args": {"precision": 16}}),
    "64 bits": ("batches of answers", {"class_path": "CrossEntropy", "init_args": {"precision": 64}}),
    "stable max": ("classification", "StableMax"),
    "stable max of answers": ("equations", "StableMax"),
    "own": ("equations", {"class_path": OWN, "init_args": {"margin": 0.5}}),
    "mean squared error": ("regression", "MeanSquaredError"),
    "own of vectors": ("batches", f"{__name__}.Absolute"),
}


@pytest.fixture(scope="module")
def builder():
    return MemberBuilder()


def with_loss(name, loss, builder, **changes):
    settings = settings_of("equations" if name == "batches of answers" else name, builder)
    for member_settings, _ in settings:
        set_value(member_settings, "model.loss", loss)
        if name == "batches of answers":
            set_value(member_settings, "data.batch_size", 10)
        for path, value in changes.items():
            set_value(member_settings, path, value)
    return settings


@pytest.mark.parametrize("name", LOSSES)
def test_weights_are_those_of_grok_fit(name, builder, tmp_path):
    settings = with_loss(*LOSSES[name], builder, **{"model.output_scale": 3.0})
    batch = make_batch(builder, settings, budget=1000)
    batch.advance(40)
    for place, (member_settings, seed) in enumerate(settings):
        module = fit(member_settings, seed, 40, [], tmp_path).lightning_module
        for key, value in module.named_parameters():
            ours = batch.state.parameters[key][place]
            torch.testing.assert_close(ours, value.detach(), rtol=1e-3, atol=2e-4)


DIAGRAM = [
    "diagram", "--base", str(ROOT / "configs/toy_classification.yaml"), "--steps=60", "--compile=false",
    "--device=cpu", "--workers=1", "--stop_when_decided=false",
    "--set={model.architecture.width: 16, model.decoder.lr: 0.01}",
]  # fmt: skip
FIT = [
    "fit", "--config", str(ROOT / "configs/toy_classification.yaml"), "--model.architecture.width=16",
    "--model.decoder.lr=0.01", "--trainer.max_steps=60", "--trainer.enable_progress_bar=false", "--trainer.logger=[]",
    "--trainer.callbacks=PhaseTracker", "--trainer.callbacks.every_n_steps=1", "--trainer.log_every_n_steps=1",
]  # fmt: skip
CELLS = {
    "cross_entropy": ["cross_entropy"],
    "StableMax": ["StableMax"],
    f"{OWN}(margin=0.5)": [OWN, "--model.loss.margin=0.5"],
    "CrossEntropy(label_smoothing=0.2)": ["CrossEntropy", "--model.loss.label_smoothing=0.2"],
}


def test_losses_are_an_axis_of_a_diagram(grok, tmp_path):
    axis = (
        f"[cross_entropy, StableMax, {{class_path: {OWN}, init_args: {{margin: 0.5}}}}, "
        "{class_path: CrossEntropy, init_args: {label_smoothing: 0.2}}]"
    )
    axes = f"--axes={{model.loss: {axis}, model.output_scale: [1.0, 2.0]}}"
    status, _, err = grok(*DIAGRAM, axes, "--folder", tmp_path / "diagram")
    assert status == 0, err
    assert "Warning" not in err
    curves = pd.read_csv(tmp_path / "diagram/curves.csv").dropna(subset="train_accuracy")
    assert curves["model.loss"].unique().tolist() == list(CELLS)
    for (name, (loss, *options)), scale in zip(CELLS.items(), (1, 2, 1, 2), strict=True):
        run = tmp_path / f"{name}_{scale}"
        status, _, err = grok(*FIT, f"--model.loss={loss}", *options, f"--model.output_scale={scale}", "--run_dir", run)
        assert status == 0, err
        alone = pd.read_csv(run / "metrics.csv").set_index("step")
        cell = curves[(curves["model.loss"] == name) & (curves["model.output_scale"] == scale)].set_index("step")
        assert cell.index[-1] == 60
        for column in ("train_accuracy", "val_accuracy"):
            assert cell[column].tolist() == pytest.approx(alone.loc[cell.index, column].tolist()), name


def test_a_loss_that_decides_by_values_is_named(grok, tmp_path):
    axes = f"--axes={{model.loss: [{__name__}.Undecided]}}"
    status, _, err = grok(*DIAGRAM, axes, "--folder", tmp_path)
    (line,) = [line for line in err.splitlines() if line.startswith("grok: error: ")]
    assert status == 2
    assert "ToyModel with the loss Undecided cannot be trained as a batch, only by grok fit" in line


MISTAKES = {
    "[cross_entropy, mse]": "the loss MeanSquaredError needs vectors, but the data's targets are class numbers",
    "[cross_entropy, StableMix]": "there is no class StableMix; expected Loss, 'mse' or 'cross_entropy': did you mean",
    "[StableMax, {class_path: CrossEntropy, init_args: {label_smooth: 1}}]": "there is no option label_smooth: did you",
    "[{class_path: StableMix}]": "there is no class StableMix; expected Loss",
}


@pytest.mark.parametrize("axis", MISTAKES)
def test_mistakes_in_an_axis_get_one_line(grok, tmp_path, axis):
    status, _, err = grok(*DIAGRAM, f"--axes={{model.loss: {axis}}}", "--folder", tmp_path / "diagram")
    assert (status, err.count("\n")) == (2, 1)
    assert MISTAKES[axis] in err
    assert len(err) < 300
    assert not (tmp_path / "diagram").exists()


def test_runs_of_one_kind_are_one_batch_whatever_their_seed(grok, tmp_path, monkeypatch):
    batches = []

    class Counted(Batch):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            batches.append(self)
            self.indices = []

        def put(self, member, saved=None):
            super().put(member, saved)
            self.indices.append(member.index)

    monkeypatch.setattr(training, "Batch", Counted)
    axes = "--axes={model.decoder.weight_decay: [0, 1], model.loss: [cross_entropy, StableMax]}"
    status, _, err = grok(*DIAGRAM, axes, "--seeds=[0, 1]", "--steps=3", "--folder", tmp_path)
    assert status == 0, err
    assert [batch.indices for batch in batches] == [[0, 2, 4, 6], [1, 3, 5, 7]]
