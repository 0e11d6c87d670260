"""The experiments of the paper's figures in configs/figures/ parse, train, and have the published settings."""

import itertools
import json

import pytest
import yaml

from grokking_pl.experiments import ExperimentBuilder
from tests.conftest import ROOT
from tests.sampling import sampled

FIGURES = {
    path.stem: path
    for path in sorted((ROOT / "configs/figures").glob("*.yaml"))
    if "base:" not in path.read_text().splitlines()  # which diagrams have
}
RUNS = ("figure1", "figure2a", "figure2b", "figure2c", "figure2d", "figure7_left")


def built(name):
    """The experiment with its network and samples, as it is before its first step."""
    config = yaml.safe_load(FIGURES[name].read_text())
    builder = ExperimentBuilder()
    settings = builder.complete({section: config[section] for section in ("model", "data")})
    experiment = builder.instantiate(settings, config["seed_everything"])
    experiment.build()
    return experiment, config


@pytest.mark.parametrize("name", sampled(RUNS, 2))
def test_one_step(grok, tmp_path, name):
    assert FIGURES[name].read_text().startswith("# Figure ")
    smaller = ["--model.architecture.width=32"] if name in ("figure1", "figure7_left") else []
    status, _, err = grok(
        "fit", "--config", FIGURES[name], "--trainer.max_steps=1", "--trainer.enable_progress_bar=false", *smaller,
        "--run_dir", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["status"], summary["steps"]) == ("finished", 1)


@pytest.mark.parametrize("name", ["figure1", "figure7_left"])
def test_transformer_is_the_published_one(name):
    experiment, config = built(name)
    layer = 4 * (256 * 256 + 256) + 2 * 256 * 128 + 128 + 256 + 2 * 2 * 256
    assert sum(value.numel() for value in experiment.module.parameters()) == 59 * 256 + 2 * layer + (512 + 1) * 59
    groups = {group["name"]: group for group in experiment.module.configure_optimizers().param_groups}
    assert {n: (g["lr"], g["weight_decay"], g["betas"]) for n, g in groups.items()} == {
        "embeddings": (1e-3, 0.01, (0.9, 0.999)),
        "decoder": (2e-4, 1.0, (0.9, 0.999)),
    }
    assert all(group["decoupled_weight_decay"] for group in groups.values())
    assert (config["seed_everything"], config["trainer"]["max_steps"]) == (1, 20000)
    assert experiment.data.num_train == 2784
    assert experiment.data.batch_size is None


@pytest.mark.parametrize(
    ("name", "sizes", "layers", "rates", "decay", "seed", "steps"),
    [
        # The published validation accuracies are 1 of 18, 8 of 25 and 1 of 13; of b's training pairs, 55 of 96.
        ("figure2a", (48, 18, 21), [2, *[256] * 7, 21], (2e-4, 1e-3), 0, 0, 401),
        ("figure2b", (96, 25, 21), [2, *[128] * 2, 21], (1e-3, 9e-5), 5, 0, 20000),
        ("figure2c", (53, 13, 11), [2, *[256] * 5, 11], (1e-3, 1e-5), 10, 2, 20000),
        ("figure2d", (53, 13, 11), [2, 128, 11], (1e-3, 2e-4), 5, 1, 20000),
    ],
)
def test_figure_2_is_the_published_one(name, sizes, layers, rates, decay, seed, steps):
    experiment, config = built(name)
    data = experiment.data
    assert (data.num_train, len(data.inputs) - data.num_train, data.sizes.outputs) == sizes
    network = experiment.module.network
    matrices = [value for value in network.decoder.parameters() if value.ndim == 2]
    assert [tuple(value.shape[::-1]) for value in matrices] == list(itertools.pairwise(layers))
    assert sum(type(layer).__name__.endswith("ReLU") for layer in network.decoder) == max(1, len(matrices) - 2)
    assert tuple(network.embeddings.shape) == (11, 2)
    groups = experiment.module.configure_optimizers().param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(rates[0], 0), (rates[1], decay)]
    assert (config["seed_everything"], config["trainer"]["max_steps"]) == (seed, steps)
