"""Classes and callbacks by their short names on the command line."""

import pytest
import yaml

from tests.conftest import ROOT

TOY = ("--config", ROOT / "configs/toy_addition.yaml", "--trainer.max_steps=3", "--trainer.enable_progress_bar=false")


def printed(grok, *options):
    status, out, err = grok("fit", *TOY, *options, "--print_config")
    assert status == 0, err
    return yaml.safe_load(out)


@pytest.mark.parametrize("name", ["MLP", "Transformer"])
def test_own_class_comes_before_a_librarys(grok, tmp_path, name):
    path = tmp_path / "own.yaml"
    path.write_text(f"model: {{class_path: GrokkingModule, init_args: {{architecture: {{class_path: {name}}}}}}}")
    for given in (["--model.architecture", name], ["--config", path]):
        config = printed(grok, *given)
        assert config["model"]["init_args"]["architecture"]["class_path"] == f"grokking_pl.models.{name}"


def test_pytorchs_class_comes_before_lightnings(grok):
    config = printed(grok, "--model.schedule=ReduceLROnPlateau")
    assert config["model"]["init_args"]["schedule"]["class_path"] == "torch.optim.lr_scheduler.ReduceLROnPlateau"


def test_callbacks_of_a_file_by_class(grok, tmp_path):
    options = [
        "--trainer.callbacks.PhaseTracker.delay", "7", "--trainer.callbacks+=EffectiveDimension",
        "--trainer.callbacks.every_n_steps=3", "--trainer.callbacks.PhaseTracker.val_threshold=8e-1",
        "--trainer.callbacks.RunCheckpoint.keep=log",
    ]  # fmt: skip
    before = {entry["class_path"].rpartition(".")[2]: entry for entry in printed(grok)["trainer"]["callbacks"]}
    after = {entry["class_path"].rpartition(".")[2]: entry for entry in printed(grok, *options)["trainer"]["callbacks"]}
    assert [*after] == [*before, "EffectiveDimension", "RunCheckpoint"]
    changed = {**before["PhaseTracker"]["init_args"], "delay": 7, "val_threshold": 0.8}
    assert after["PhaseTracker"]["init_args"] == changed
    assert after["EffectiveDimension"]["init_args"]["every_n_steps"] == 3
    assert after["RunCheckpoint"]["init_args"]["keep"] == "log"
    assert {name: after[name] for name in before if name != "PhaseTracker"} == {
        name: entry for name, entry in before.items() if name != "PhaseTracker"
    }

    status, _, err = grok("fit", *TOY, *options, "--run_dir", tmp_path / "run")
    assert status == 0, err
    assert (tmp_path / "run/checkpoints/step_00000000.ckpt").exists()
    table = (tmp_path / "run/hyperparameters.csv").read_text()
    assert "trainer.callbacks.PhaseTracker.delay,7" in table
