"""The command `grok measure`: what kept checkpoints are measured to be is what was measured while they were written."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from grokking_pl.callbacks import Measurement

SMALL = [
    "fit", "--config", "configs/nanda_modular_addition.yaml", "--data.task.p=7", "--data.classes=8",
    "--model.architecture.width=16", "--model.architecture.heads=2", "--trainer.log_every_n_steps=10",
    "--trainer.enable_progress_bar=false", "--trainer.max_steps=25",
]  # fmt: skip
MEASURES = {
    "PhaseTracker": "", "EffectiveDimension": "", "FourierProgress": "frequencies=[1,2]", "WeightNorms": "",
    "LogitMargin": "", "InitialDistance": "", "KernelChange": "samples=5", "LocalComplexity": "",
    "TruncatedAccuracy": "components=[2]",
}  # fmt: skip


def words(option, every=None):
    said = []
    for number, (name, setting) in enumerate(MEASURES.items()):
        said.append(f"--{option}{'+' * bool(number)}={name}")
        said += [f"--{option}.{setting}"] * bool(setting) + [f"--{option}.every_n_steps={every}"] * bool(every)
    return said


@pytest.fixture(scope="module")
def run(grok, tmp_path_factory):
    """A watched run that keeps every tenth checkpoint."""
    folder = tmp_path_factory.mktemp("measure") / "run"
    keeping = ("--trainer.callbacks+=RunCheckpoint", "--trainer.callbacks.keep=10")
    status, _, err = grok(*SMALL, *words("trainer.callbacks", 10), *keeping, "--run_dir", folder)
    assert status == 0, err
    return folder


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("tensorboard", "*.png"))


def test_same_as_during_training(grok, copy):
    status, out, err = grok("measure", copy, *words("measures"))
    assert status == 0, err
    assert f"4 steps in {copy}/measures.csv: train_accuracy, " in out
    metrics, measures = (pd.read_csv(copy / f"{name}.csv").set_index("step") for name in ("metrics", "measures"))
    assert measures.index.tolist() == [0, 10, 20, 25]
    assert len(measures.columns) >= 20
    for column in measures:
        if column == "phase_name":
            assert measures[column].tolist() == metrics[column][measures.index].tolist()
        else:
            assert measures[column].tolist() == pytest.approx(metrics[column][measures.index].tolist(), abs=1e-5), (
                column
            )


def test_further_measures_stand_beside_the_others(grok, copy):
    for name in ("WeightNorms", "EmbeddingNorm", "WeightNorms"):
        assert grok("measure", copy, f"--measures={name}")[0] == 0
    first, *rows = (copy / "measures.csv").read_text().splitlines()
    assert first == "step,weight_norm_embeddings,weight_norm_decoder,embedding_norm"
    assert len(rows) == 4
    assert all(len(row.split(",")) == 4 and "" not in row.split(",") for row in rows)


def test_report_shows_them(grok, copy):
    assert grok("measure", copy, "--measures=EmbeddingNorm")[0] == 0
    status, _, err = grok("report", copy)
    assert status == 0, err
    assert '"embedding_norm"' in (copy / "report.html").read_text()


def test_snapshots_of_weights(grok, tmp_path):
    keeping = ("--trainer.callbacks+=StitchedAccuracy", "--trainer.callbacks.steps=[0,7]")
    assert grok(*SMALL, *keeping, "--trainer.max_steps=10", "--run_dir", tmp_path)[0] == 0
    status, _, err = grok("measure", tmp_path, "--measures=WeightNorms", "--measures+=InitialDistance")
    assert status == 0, err
    measures = pd.read_csv(tmp_path / "measures.csv").set_index("step")
    assert measures.index.tolist() == [0, 7, 10]
    last = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    names = [name for name in last if name.startswith(("network.tokens", "network.positions"))]
    norm = sum(float(last[name].square().sum()) for name in names) ** 0.5
    assert measures.weight_norm_embeddings[10] == pytest.approx(norm, rel=1e-5)


def test_double_precision(grok, tmp_path):
    keeping = ("--trainer.precision=64-true", "--trainer.callbacks+=RunCheckpoint", "--trainer.callbacks.keep=1")
    assert grok(*SMALL, *keeping, "--trainer.max_steps=1", "--run_dir", tmp_path)[0] == 0
    assert grok("measure", tmp_path, "--measures=PhaseTracker")[0] == 0
    metrics, measures = (pd.read_csv(tmp_path / f"{name}.csv").set_index("step") for name in ("metrics", "measures"))
    assert measures.val_loss[0] == pytest.approx(metrics.val_loss[0], rel=1e-12)


def test_run_without_kept_checkpoints(grok, copy):
    for path in (copy / "checkpoints").glob("step_*"):
        path.unlink()
    status, _, err = grok("measure", copy, "--measures=EmbeddingNorm", "--measures+=WeightNorms")
    assert status == 2
    assert "WeightNorms looks at the whole network, and" in err
    assert "keeps no checkpoints but its last: train with --trainer.callbacks+=RunCheckpoint" in err
    assert "--trainer.callbacks.keep=log" in err
    status, _, err = grok("measure", copy, "--measures=EmbeddingNorm")
    assert status == 2
    assert "keeps no checkpoints but its last, and no embeddings: train with --trainer.callbacks+=RunCheckpoint" in err
    assert "or with EmbeddingSnapshots for measures of the embeddings" in err
    assert not (copy / "measures.csv").exists()


OF_EMBEDDINGS = {
    "toy_addition": ["RepresentationQuality", "EffectiveDimension", "EmbeddingNorm"],
    "permutation_s3": ["RepresentationQuality", "IrrepSpectrum"],
    "nanda": ["FourierSpectrum", "EffectiveDimension", "RepresentationQuality", "EmbeddingNorm"],
}


@pytest.fixture(scope="module", params=OF_EMBEDDINGS)
def embedded(request, grok, tmp_path_factory):
    """A run that keeps its embeddings and no checkpoints, watched at the same steps; and what watched it."""
    folder, measures = tmp_path_factory.mktemp("embedded") / "run", OF_EMBEDDINGS[request.param]
    start = SMALL if request.param == "nanda" else ["fit", "--config", f"configs/{request.param}.yaml"]
    watching = [f"--trainer.callbacks{'+' * bool(number)}={name}" for number, name in enumerate(measures)]
    for number in range(len(measures)):
        watching.insert(2 * number + 1, "--trainer.callbacks.every_n_steps=1")
    status, _, err = grok(
        *start, *watching, "--trainer.callbacks+=EmbeddingSnapshots", "--trainer.callbacks.steps=[0,3,20]",
        "--trainer.max_steps=20", "--trainer.log_every_n_steps=1", "--trainer.enable_progress_bar=false",
        "--run_dir", folder,
    )  # fmt: skip
    assert status == 0, err
    return folder, measures


def test_snapshots_of_embeddings(grok, embedded, tmp_path):
    folder, measures = embedded
    folder = shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("tensorboard"))
    asked = [f"--measures{'+' * bool(number)}={name}" for number, name in enumerate(measures)]
    status, out, err = grok("measure", folder, *asked)
    assert status == 0, err
    assert out.startswith("3 steps in ")
    metrics, found = (pd.read_csv(folder / f"{name}.csv").set_index("step") for name in ("metrics", "measures"))
    assert found.index.tolist() == [0, 3, 20]
    assert len(found.columns) >= len(measures)
    for column in found:
        assert found[column].tolist() == pytest.approx(metrics[column][found.index].tolist(), abs=1e-6), column
    status, _, err = grok("measure", folder, "--measures=PhaseTracker")
    assert status == 2
    assert "PhaseTracker looks at the whole network, and" in err
    assert "its last, and embeddings, which are not enough: train with" in err
    status, _, err = grok("measure", folder, "--measures=tests.own_callbacks.Spread")
    assert status == 2
    assert "if Spread reads only pl_module.representation, set needs_only_embeddings = True in the class" in err
    status, _, err = grok("measure", folder, "--measures=tests.own_callbacks.DeclaredSpread")
    assert status == 0, err


def test_embeddings_between_kept_checkpoints(grok, copy):
    """Measures of embeddings have their steps too; others those of checkpoints alone."""
    embeddings = np.random.default_rng(0).normal(size=(2, 7, 16)).astype(np.float32)
    symbols = np.array([str(k) for k in range(7)])
    np.savez(copy / "embeddings.npz", steps=[5, 10], embeddings=embeddings, symbols=symbols)
    assert grok("measure", copy, "--measures=EmbeddingNorm", "--measures+=WeightNorms")[0] == 0
    measures = pd.read_csv(copy / "measures.csv").set_index("step")
    assert measures.index.tolist() == [0, 5, 10, 20, 25]
    assert measures.weight_norm_decoder.notna().tolist() == [True, False, True, True, True]
    assert measures.embedding_norm[5] == pytest.approx(float(np.sqrt((embeddings[0] ** 2).mean())), rel=1e-5)
    assert measures.embedding_norm[10] != pytest.approx(float(np.sqrt((embeddings[1] ** 2).mean())), rel=1e-3)
    np.savez(copy / "embeddings.npz", steps=[5, 10], embeddings=embeddings[:, :6], symbols=symbols)
    status, _, err = grok("measure", copy, "--measures=EmbeddingNorm")
    assert status == 2
    assert "the embeddings of step 5 have the shape (6, 16), those of the network in config.yaml (7, 16)" in err
    for content in (b"half a file", b""):
        (copy / "embeddings.npz").write_bytes(content)
        status, _, err = grok("measure", copy, "--measures=EmbeddingNorm")
        assert status == 2
        assert "embeddings.npz is damaged: move it away" in err


def test_files_of_measures_that_did_not_watch(grok, copy):
    """What `FourierProgress` wrote in training stays as it is; `FourierSpectrum`, which was not there, draws."""
    before = (copy / "circuit.npz").read_bytes()
    assert grok("measure", copy, "--measures=FourierProgress", "--measures+=FourierSpectrum")[0] == 0
    assert (copy / "circuit.npz").read_bytes() == before
    assert (copy / "spectrum.png").read_bytes().startswith(b"\x89PNG")
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(config.replace("callbacks.FourierProgress", "callbacks.FourierSpectrum"))
    (copy / "circuit.npz").unlink()
    (copy / "metrics.csv").unlink()  # which has its values
    assert grok("measure", copy, "--measures=FourierProgress", "--measures.frequencies=[1]")[0] == 0
    with np.load(copy / "circuit.npz") as file:
        assert file["steps"].tolist() == [0, 10, 20, 25]
        assert file["logits"].shape == (7, 7)


def test_initial_weights_are_needed(grok, copy):
    (copy / "checkpoints/step_00000000.ckpt").unlink()
    for name, wanted in (("InitialDistance", "no initial weights"), ("KernelChange", "no initial kernel")):
        status, _, err = grok("measure", copy, f"--measures={name}")
        assert status == 2
        assert wanted in err
    assert not (copy / "measures.csv").exists()


def test_weights_of_another_network(grok, copy):
    path = copy / "checkpoints/step_00000010.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["network.tokens.weight"] = torch.zeros(3, 16)
    torch.save(checkpoint, path)
    status, _, err = grok("measure", copy, "--measures=WeightNorms")
    assert status == 2
    assert "the weights of step 10 do not fit the network of config.yaml: size mismatch for tokens.weight" in err
    path.write_bytes(b"half a file")
    status, _, err = grok("measure", copy, "--measures=WeightNorms")
    assert status == 2
    assert "step_00000010.ckpt" in err


class Clash(Measurement):
    """A user's own, with the name of another value."""

    def measure(self, trainer, pl_module):
        return {"val_accuracy": 0.5}


MISTAKES = {
    "Clash measures val_accuracy, which the run has logged: give it another name": [f"--measures={__name__}.Clash"],
    "--measures=NAME": [],
    "WeightNorm": ["--measures=WeightNorm"],
    "EmbeddingSnapshots": ["--measures=EmbeddingSnapshots"],
    "a checkpoint has no gradients": ["--measures=GradientDirection"],
    "give distinct ones from 1 to 3": ["--measures=FourierProgress", "--measures.frequencies=[9]"],
    "IrrepSpectrum": ["--measures=IrrepSpectrum", "--measures.every_n_steps=0"],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes(grok, run, message):
    status, _, err = grok("measure", run, *MISTAKES[message])
    assert status == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_no_run(grok, tmp_path):
    for folder, wanted in ((tmp_path / "no", "does not exist"), (tmp_path, "contains no run")):
        status, _, err = grok("measure", folder, "--measures=WeightNorms")
        assert status == 2
        assert wanted in err
    (tmp_path / "config.yaml").write_text("model: 3")
    status, _, err = grok("measure", tmp_path, "--measures=WeightNorms")
    assert status == 2
    assert "has no sections model and data" in err
