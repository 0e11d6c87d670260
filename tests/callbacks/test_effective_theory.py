"""The callback that predicts a run, as a user adds it, against the library and against the run itself."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from grokking_pl.callbacks import EffectiveTheory
from grokking_pl.errors import UserError
from grokking_pl.tasks import addition
from grokking_pl.theory import normalised, normalised_flow, predict

TOY = [
    "--config", "configs/toy_addition.yaml", "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=100",
    "--trainer.logger=false", "--model.embeddings.lr=4e-3", "--model.decoder.lr=4e-4",
]  # fmt: skip
QUALITY = ["--trainer.callbacks=RepresentationQuality", "--trainer.callbacks.every_n_steps=1"]
THEORY = ["--trainer.callbacks+=EffectiveTheory", "--trainer.callbacks.every_n_steps=1"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("theory") / "run"


@pytest.fixture
def fit(grok):
    def run(folder, *options, steps=300):
        status, _, err = grok("fit", *TOY, *options, "--run_dir", folder, f"--trainer.max_steps={steps}")
        assert status == 0, err
        return json.loads((folder / "summary.json").read_text()), err

    return run


@pytest.fixture
def watched(fit, run_dir):
    """A run that is watched at every step, with its summary."""
    if not run_dir.exists():
        fit(run_dir, *QUALITY, *THEORY, "--trainer.logger=true", steps=300)
    return run_dir, json.loads((run_dir / "summary.json").read_text())


@pytest.fixture(scope="module")
def split():
    legacy = np.random.RandomState(58)
    legacy.normal(0, 1, size=(19, 30))
    return torch.from_numpy(legacy.choice(55, 45, replace=False))


def test_the_prediction_is_that_of_the_split(watched, split):
    folder, summary = watched
    expected = predict(addition(10), split)
    assert summary["lambda_3"] == pytest.approx(expected.lambda_3)
    assert summary["n0"] == expected.n0
    assert summary["unique_structure"] is expected.unique
    assert summary["ideal_accuracy"] == expected.ideal_accuracy
    assert summary["predicted_steps"] == pytest.approx(expected.steps(4e-3))  # the embeddings' rate, not the decoder's
    first = pd.read_csv(folder / "metrics.csv").set_index("step").loc[0]
    for name in ("lambda_3", "n0", "ideal_accuracy", "predicted_steps"):
        assert first[name] == pytest.approx(summary[name])


def test_the_comparison_is_with_the_measured_step(watched):
    _, summary = watched
    assert summary["steps_to_rqi"] > 0
    assert summary["measured_over_predicted"] == pytest.approx(summary["steps_to_rqi"] / summary["predicted_steps"])
    assert f"passed 0.95 at step {summary['steps_to_rqi']}" in summary["theory_comparison"]


def test_trajectories(watched, split):
    folder, _ = watched
    assert (folder / "trajectories.png").read_bytes().startswith(b"\x89PNG")
    with np.load(folder / "trajectories.npz") as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file if name != "symbols"}
        assert file["symbols"].tolist() == [str(k) for k in range(10)]
    steps = arrays["network_steps"].tolist()
    assert (steps[0], steps[-1]) == (0, 300)
    assert set(np.diff(steps)) == {2}  # 1, doubled at 256 records
    last = torch.load(folder / "checkpoints/last.ckpt")["state_dict"]["network.embeddings"]
    torch.testing.assert_close(arrays["network"][-1], normalised(last))
    times = arrays["theory_steps"] * 4e-3
    flow = normalised_flow(arrays["network"][0], addition(10), split, times)
    torch.testing.assert_close(arrays["theory"], flow)
    assert arrays["theory"][-1].diff(n=2, dim=0).abs().max() < 0.05  # a line


def test_a_stopped_run_goes_on_with_its_records(watched, fit, tmp_path):
    folder, summary = watched
    fit(tmp_path, *QUALITY, *THEORY, steps=270)
    again, _ = fit(tmp_path, *QUALITY, *THEORY, "--ckpt_path=last", steps=300)
    for name in ("lambda_3", "n0", "ideal_accuracy", "predicted_steps", "measured_over_predicted", "theory_comparison"):
        assert again[name] == summary[name]
    with np.load(folder / "trajectories.npz") as one, np.load(tmp_path / "trajectories.npz") as other:
        for name in one:
            assert np.array_equal(one[name], other[name])


def test_watching_changes_no_weight(fit, tmp_path):
    fit(tmp_path / "plain", "--trainer.callbacks=[]", steps=50)
    fit(tmp_path / "watched", "--trainer.callbacks=EffectiveTheory", "--trainer.callbacks.every_n_steps=1", steps=50)
    plain, watched = (
        torch.load(tmp_path / f"{name}/checkpoints/last.ckpt")["state_dict"] for name in ("plain", "watched")
    )
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


def test_without_the_measurement_it_says_so(fit, tmp_path):
    summary, err = fit(tmp_path, "--trainer.callbacks=EffectiveTheory", "--data.train_count=12", steps=20)
    assert summary["theory_comparison"].endswith("add the callback RepresentationQuality")
    assert summary["theory_comparison"] in err
    assert summary["unique_structure"] is False
    assert (summary["lambda_3"], summary["predicted_steps"], summary["measured_over_predicted"]) == (0, None, None)


def test_a_training_set_without_parallelograms(fit, tmp_path):
    summary, _ = fit(tmp_path, *QUALITY, *THEORY, "--data.train_count=1", steps=20)
    assert (summary["n0"], summary["predicted_steps"]) == (10, None)
    assert "did not pass 0.95 in 20 steps" in summary["theory_comparison"]
    with np.load(tmp_path / "trajectories.npz") as file:
        assert np.allclose(file["theory"], file["theory"][0])


def test_two_dimensions_and_a_group(grok, tmp_path):
    status, _, err = grok(
        "fit", "--config=configs/toy_2d_modular.yaml", "--trainer.max_steps=30", "--trainer.enable_progress_bar=false",
        "--trainer.callbacks=EffectiveTheory", "--trainer.logger=false", "--run_dir", tmp_path,
    )  # fmt: skip
    assert status == 0, err
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert "may find another one" in summary["theory_comparison"]
    with np.load(tmp_path / "trajectories.npz") as file:
        assert file["network"].shape[2] == file["theory"].shape[2] == 2
    assert (tmp_path / "trajectories.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--data.task=grokking_pl.tasks.modular_subtraction", "--data.task.p=5", "--data.train_count=15"], "commute"),
        (["--model.embeddings.lr=0"], "give learning_rate"),
        (["--trainer.callbacks.every_n_steps=0"], "every_n_steps is 0"),
        (["--trainer.callbacks.learning_rate=-1"], "learning_rate is -1"),
    ],
)
def test_mistakes(grok, tmp_path, options, wanted):
    status, _, err = grok("fit", *TOY, "--trainer.callbacks=EffectiveTheory", *options, "--run_dir", tmp_path)
    assert status == 2
    assert wanted in err
    assert "EffectiveTheory: " in err


def test_matrices_and_images_have_no_such_theory(grok, small_mnist, tmp_path):
    for number, config in enumerate((["--config=configs/permutation_s3.yaml"], small_mnist)):
        status, _, err = grok(
            "fit", *config, "--trainer.callbacks=EffectiveTheory", "--run_dir", tmp_path / str(number)
        )
        assert status == 2
        assert "grok: error: EffectiveTheory: " in err


def test_a_wrong_argument_in_code():
    with pytest.raises(UserError, match="every_n_steps is 0"):
        EffectiveTheory(every_n_steps=0)


@pytest.mark.slow
def test_two_processes_record_what_one_does(grok_process, tmp_path):
    summaries = []
    for devices in (1, 2):
        process = grok_process(
            "fit", *TOY, *QUALITY, *THEORY, "--run_dir", tmp_path / str(devices), "--trainer.max_steps=100",
            "--trainer.accelerator=cpu", f"--trainer.devices={devices}",
        )  # fmt: skip
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert err.count("effective theory:") == 1
        summaries.append(json.loads((tmp_path / str(devices) / "summary.json").read_text()))
    for name in ("lambda_3", "n0", "ideal_accuracy", "predicted_steps", "theory_comparison"):
        assert summaries[0][name] == summaries[1][name]
    with np.load(tmp_path / "1/trajectories.npz") as one, np.load(tmp_path / "2/trajectories.npz") as two:
        np.testing.assert_allclose(one["network"], two["network"], atol=1e-3)
