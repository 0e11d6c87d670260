"""A run on two processes is the run on one: same steps, same phase, same weights but for rounding; same predictions."""

import json

import pandas as pd
import pytest
import torch

from grokking_pl.runs.kept_checkpoints import is_log_spaced
from tests.conftest import ROOT, SMALL_MNIST
from tests.many_runs import torchrun

OWN = ["--model=tests.training.test_other_peoples.Line", "--data=tests.training.test_other_peoples.Points"]
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=[]"]
EXACT = ["--trainer.precision=64-true", "--trainer.log_every_n_steps=1"]
COLUMNS = ("loss", "train_loss", "val_loss", "train_accuracy", "val_accuracy")


def test_two_processes_equal_one(grok, grok_process, tmp_path):
    folders = [tmp_path / "1", tmp_path / "2"]
    options = [
        "fit", "--config", ROOT / "configs/toy_addition.yaml", "--trainer.max_steps=200", "--trainer.accelerator=cpu",
        "--model.embeddings.lr=2e-3", "--model.decoder.lr=2e-4", "--trainer.enable_progress_bar=false",
    ]  # fmt: skip
    process = grok_process(*options, "--run_dir", folders[1], "--trainer.devices=2")
    status, _, err = grok(*options, "--run_dir", folders[0])
    assert status == 0, err
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    weights = [torch.load(each / "checkpoints/last.ckpt")["state_dict"] for each in folders]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=2e-5, rtol=1e-5)
    one, two = (json.loads((each / "summary.json").read_text()) for each in folders)
    for key in ("phase", "steps_to_train", "steps_to_val", "steps_to_rqi", "train_accuracy", "val_accuracy"):
        assert one[key] == two[key], key
    one, two = (pd.read_csv(each / "metrics.csv") for each in folders)
    early = [step for step in range(1, 100) if is_log_spaced(step)]
    assert one.step.tolist() == two.step.tolist() == [0, *early, 100, 200]
    for column in ("loss", "train_accuracy", "val_accuracy", "rqi", "predicted_accuracy"):
        pd.testing.assert_series_equal(one[column], two[column], atol=1e-4)


UNEVEN = {
    # Batches of 10 images, 10, and 1, of which two processes cannot both have a part; two of which make a step.
    "images": [*SMALL_MNIST, "--data.train_size=21", "--trainer.accumulate_grad_batches=2", "--trainer.max_steps=9"],
    # Shares of 5 and 4 training samples, and one validation sample.
    "toy": [
        "--config", ROOT / "configs/toy_addition.yaml", "--data.split=torch_randperm", "--data.train_count=54",
        "--data.batch_size=9", "--data.steps_per_epoch=4", "--trainer.max_steps=8",
    ],
    # Penalties, answers of several tokens, and cross entropy.
    "sort": [
        "--config", ROOT / "configs/papers/power_addition.yaml", "--data.operator=sort", "--data.operand_length=2",
        "--data.train_percent=40", "--data.batch_size=7", "--model.architecture.width=16", "--trainer.max_steps=6",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def uneven(grok, tmp_path_factory):
    """Folders of runs whose batches two processes cannot share evenly, on one process and on two; and their output."""
    folder = tmp_path_factory.mktemp("uneven")
    commands = []
    for name, words in UNEVEN.items():
        # Predictions and measurements are of the one process's weights.
        options = [*words, *QUIET, *EXACT, "--trainer.callbacks+=tests.many_runs.Gradients"]
        measured = [*words, *QUIET, "--ckpt_path", folder / f"{name}_1/checkpoints/last.ckpt"]
        status, _, err = grok("fit", *options, "--run_dir", folder / f"{name}_1")
        assert status == 0, err
        status, _, err = grok("predict", *measured, "--run_dir", folder / f"{name}_1")
        assert status == 0, err
        two = ["--trainer.devices=2", "--run_dir", folder / f"{name}_2"]
        commands += [["fit", *options, *two], ["predict", *measured, *two], ["validate", *measured, *two]]
    for name, sampler in (("copies", "false"), ("shares", "true")):
        two = [*OWN, *QUIET, f"--trainer.use_distributed_sampler={sampler}", "--run_dir", folder / name]
        commands += [["fit", *two, "--trainer.max_steps=2"], ["predict", *two, "--ckpt_path=last"]]
        commands[-2:] = [[*words, "--trainer.devices=2"] for words in commands[-2:]]
    return folder, *torchrun(2, commands)


@pytest.mark.parametrize("name", UNEVEN)
def test_uneven_batches_have_the_losses_and_gradients_of_one_process(uneven, name):
    one, two = (uneven[0] / f"{name}_{processes}" for processes in (1, 2))
    ours, theirs = (torch.load(folder / "gradients.pt") for folder in (one, two))
    torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-9)
    ours, theirs = (pd.read_csv(folder / "metrics.csv") for folder in (one, two))
    assert ours.step.tolist() == theirs.step.tolist()
    assert ours.loss[1:].notna().all()
    for column in COLUMNS:
        pd.testing.assert_series_equal(ours[column], theirs[column], rtol=1e-6)
    assert json.loads((two / "summary.json").read_text())["devices"] == 2


@pytest.mark.parametrize("name", UNEVEN)
def test_predictions_of_two_processes_are_those_of_one(uneven, name):
    one, two = (uneven[0] / f"{name}_{processes}/predictions.csv" for processes in (1, 2))
    assert one.read_text().count("\n") > 1
    assert two.read_bytes() == one.read_bytes()
    assert uneven[1].count(f" predictions in {two}") == 1


@pytest.mark.parametrize("name", ["copies", "shares"])
def test_predictions_of_own_modules_are_complete_and_in_order(uneven, name):
    table = pd.read_csv(uneven[0] / name / "predictions.csv")
    assert list(table) == ["sample", "value", "side"]
    assert table["sample"].tolist() == list(range(40))
    assert table.side.tolist() == [-1] * 20 + [1] * 20
    assert table.value.diff()[1:].std() < 1e-4  # a line
