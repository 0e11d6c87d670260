import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="package")
def run_folder(grok, tmp_path_factory):
    """A run with two-dimensional embeddings, watched by all that a report can show but EffectiveTheory."""
    folder = tmp_path_factory.mktemp("report") / "run"
    status, _, err = grok(
        "fit", "--config", ROOT / "configs/toy_2d_addition.yaml", "--run_dir", folder, "--trainer.max_steps=120",
        "--trainer.log_every_n_steps=10", "--trainer.enable_progress_bar=false", "--model.architecture.width=16",
    )  # fmt: skip
    assert status == 0, err
    return folder


@pytest.fixture(scope="package")
def circuit_folder(grok, tmp_path_factory):
    """A transformer that learns to add modulo 11, watched by FourierProgress."""
    folder = tmp_path_factory.mktemp("report") / "circuit"
    status, _, err = grok(
        "fit", "--config", ROOT / "configs/nanda_modular_addition.yaml", "--data.task.p=11", "--data.classes=12",
        "--model.architecture.width=16", "--model.architecture.heads=2", "--run_dir", folder, "--trainer.max_steps=40",
        "--trainer.enable_progress_bar=false", "--trainer.callbacks=PhaseTracker",
        "--trainer.callbacks.every_n_steps=10", "--trainer.callbacks+=FourierProgress",
        "--trainer.callbacks.every_n_steps=10", "--trainer.callbacks.frequencies=[1,4]",
    )  # fmt: skip
    assert status == 0, err
    return folder


@pytest.fixture(scope="package")
def diagram_folder(grok, tmp_path_factory):
    """A diagram of three times two cells and three seeds."""
    folder = tmp_path_factory.mktemp("report") / "diagram"
    status, _, err = grok(
        "diagram", "--config", ROOT / "configs/figures/figure6b_small.yaml", "--folder", folder,
        "--steps=150", "--compile=false", "--set={model.architecture.width: 24}", "--device=cpu", "--workers=1",
        "--axes={model.decoder.weight_decay: [0, 3], model.decoder.lr: [0.0001, 0.001, 0.01]}",
        "--seeds=[58, 59, 60]", "--phase.train_threshold=0.1", "--phase.val_threshold=0.2", "--phase.delay=20",
    )  # fmt: skip
    assert status == 0, err
    return folder
