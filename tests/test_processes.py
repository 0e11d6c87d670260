"""A run on two processes is the run on one: same steps, same phase, same weights but for rounding."""

import json

import pandas as pd
import torch


def test_two_processes_equal_one(grok_process, tmp_path):
    results = {}
    for devices in (1, 2):
        process = grok_process(
            "fit", "--config=configs/toy_addition.yaml", "--run_dir", tmp_path / str(devices),
            "--trainer.max_steps=200",
            "--trainer.accelerator=cpu", f"--trainer.devices={devices}", "--model.embeddings.lr=2e-3",
            "--model.decoder.lr=2e-4", "--trainer.enable_progress_bar=false",
        )  # fmt: skip
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        results[devices] = tmp_path / str(devices)
    weights = [torch.load(run / "checkpoints/last.ckpt")["state_dict"] for run in results.values()]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=2e-5, rtol=1e-5)
    one, two = (json.loads((run / "summary.json").read_text()) for run in results.values())
    for key in ("phase", "steps_to_train", "steps_to_val", "steps_to_rqi", "train_accuracy", "val_accuracy"):
        assert one[key] == two[key], key
    one, two = (pd.read_csv(run / "metrics.csv") for run in results.values())
    assert one.step.tolist() == two.step.tolist() == [0, 100, 200]
    for column in ("loss", "train_accuracy", "val_accuracy", "rqi", "predicted_accuracy"):
        pd.testing.assert_series_equal(one[column], two[column], atol=1e-4)
