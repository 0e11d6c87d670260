"""What the experiments in configs/ start from: the same seed gives the same weights and split, whatever is changed.

Pinned are the number of weights, the sum of their absolute values, their sum with weights from 0 to 1 in order, the
number of training samples, and a checksum of these.
"""

import hashlib

import pytest
import torch
import yaml

from grokking_pl.experiments import ExperimentBuilder
from tests.conftest import ROOT

STARTS = {
    "mnist_grok": (199210, 34353.340114, 81.222226, 1000, None),
    "permutation_s3": (48284, 1962.751059, 0.771569, 24, "b1d28671ef4c"),
    "papers/power_addition": (455424, 40806.064109, 360.034808, 4704, "dacf591465c0"),
    "toy_2d_addition": (5739, 414.232728, 3.980957, 59, "413951311cc3"),
    "toy_2d_modular": (5089, 371.623492, -6.711868, 59, "7b2931612480"),
    "toy_addition": (46640, 1849.686509, -8.316252, 45, "51db97689cad"),
    "toy_classification": (44429, 1756.077281, 2.941096, 45, "638164db85c0"),
    "transformer_modular_addition": (1618741, 52987.728592, -15.189921, 2247, "3b7abb9bd6f0"),
    "transformer_modular_addition_small": (55839, 3641.752293, 10.014367, 769, "081c73f125da"),
}


@pytest.mark.parametrize("name", STARTS)
def test_same_start(name):
    config = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text())
    builder = ExperimentBuilder()
    settings = builder.complete({section: config[section] for section in ("model", "data")})
    experiment = builder.instantiate(settings, config["seed_everything"])
    experiment.build()
    weights = torch.cat([value.detach().flatten().double() for value in experiment.module.parameters()])
    count, size, moment, num_train, checksum = STARTS[name]
    assert len(weights) == count
    assert weights.abs().sum().item() == pytest.approx(size, abs=1e-3)
    assert (weights * torch.linspace(0, 1, count, dtype=torch.float64)).sum().item() == pytest.approx(moment, abs=1e-3)
    train, _ = experiment.data.train_set
    assert len(train) == num_train
    if checksum:
        assert hashlib.sha256(train.numpy().tobytes()).hexdigest().startswith(checksum)
