"""A run on two processes is the run on one: same steps, same phase, same weights but for rounding."""

import json

import pandas as pd
import torch

from tests.conftest import ROOT


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
    assert one.step.tolist() == two.step.tolist() == [0, 100, 200]
    for column in ("loss", "train_accuracy", "val_accuracy", "rqi", "predicted_accuracy"):
        pd.testing.assert_series_equal(one[column], two[column], atol=1e-4)
