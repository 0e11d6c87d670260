"""An architecture that does not declare how it combines two embeddings has no RQI."""

import csv
import json

import pytest

TOY = [
    "fit", "--config", "configs/toy_addition.yaml", "--trainer.enable_progress_bar=false", "--trainer.max_steps=3",
    "--model.architecture=tests.population.architectures.Separate", "--trainer.callbacks=PhaseTracker",
]  # fmt: skip
SMALL = [
    "diagram", "--config", "configs/figures/figure6b_small.yaml", "--steps=20", "--compile=false", "--device=cpu",
    "--workers=1", "--observe.every_n_steps=10", "--axes={model.decoder.weight_decay: [0, 3]}",
    "--set={model.architecture: tests.population.architectures.Separate}",
]  # fmt: skip


@pytest.mark.parametrize("callback", ["RepresentationQuality", "EffectiveTheory"])
def test_callbacks_of_combined_embeddings_are_refused(grok, tmp_path, callback):
    status, _, err = grok(*TOY, f"--trainer.callbacks+={callback}", "--run_dir", tmp_path / "run")
    assert status == 2
    assert f"{callback}: Separate does not declare how it combines two embeddings" in err
    (line,) = err.splitlines()
    assert "def combine(self, left, right): return left + right" in line
    assert not (tmp_path / "run").exists()


def test_callbacks_of_the_embeddings_work(grok, tmp_path):
    status, _, err = grok(*TOY, "--trainer.callbacks+=EffectiveDimension", "--run_dir", tmp_path / "run")
    assert status == 0, err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["effective_dimension"] > 1
    assert "rqi" not in summary


def test_diagram_leaves_the_columns_empty(grok, tmp_path):
    status, _, err = grok(*SMALL, "--folder", tmp_path / "diagram")
    assert status == 0, err
    for name in ("runs.csv", "curves.csv"):
        with open(tmp_path / "diagram" / name, newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["rqi"] for row in rows} == {row["predicted_accuracy"] for row in rows} == {""}
        assert any(row["effective_dimension"] and float(row["effective_dimension"]) > 1 for row in rows)
