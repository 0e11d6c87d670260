"""The LightningModule around every architecture, against plain PyTorch."""

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from grokking_pl.data import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.models import MLP
from grokking_pl.runs import RunFolder
from grokking_pl.sizes import Sizes
from grokking_pl.training import GrokkingModule


class Points(TensorDataModule):
    """Random points of three classes; 7 for training and 4099 for validation, which is not a multiple of a batch."""

    def __init__(self, targets: str = "vectors"):
        super().__init__()
        self.kind = targets

    def load(self):
        draws = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(4106, 5, generator=draws)
        labels = torch.randint(3, (4106,), generator=draws)
        self.class_targets = torch.randn(3, 2, generator=draws) if self.kind == "vectors" else None
        self.targets = labels if self.class_targets is None else self.class_targets[labels]
        self.labels = labels
        self.num_train = 7
        self.sizes = Sizes(inputs=5, outputs=2 if self.kind == "vectors" else 3)


def built(loss="mse", class_targets=None, **options) -> GrokkingModule:
    module = GrokkingModule(lambda sizes: MLP(sizes, width=4), loss=loss, **options)
    outputs = 3 if class_targets is None else class_targets.shape[1]
    module.build(Sizes(inputs=5, outputs=outputs), class_targets)
    return module


def trainer(tmp_path, **options) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def test_losses_are_those_of_torch():
    outputs, vectors, labels = torch.randn(7, 3), torch.randn(7, 3), torch.tensor([0, 2, 1, 1, 0, 2, 2])
    mse = built("mse", torch.eye(3)).compute_loss(outputs, vectors)
    assert torch.isclose(mse, ((outputs - vectors) ** 2).sum() / 21)
    entropy = built("cross_entropy").compute_loss(outputs, labels)
    assert torch.isclose(entropy, -outputs.log_softmax(1)[torch.arange(7), labels].mean())


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**31))
def test_predicted_class_is_the_nearest_target(classes, dimension, seed):
    draws = torch.Generator().manual_seed(seed)
    targets = torch.randn(classes, dimension, generator=draws, dtype=torch.float64)
    outputs = 3 * torch.randn(20, dimension, generator=draws, dtype=torch.float64)
    module = built(class_targets=targets)
    predicted = module.predict_class(outputs)
    distances = [[float(((output - target) ** 2).sum()) for target in targets] for output in outputs]
    assert predicted.tolist() == [row.index(min(row)) for row in distances]
    assert module.true_class(targets).tolist() == list(range(classes))


@given(st.integers(0, 2**31))
def test_predicted_class_in_classification_is_the_largest_output(seed):
    outputs = torch.randn(9, 3, generator=torch.Generator().manual_seed(seed))
    assert built("cross_entropy").predict_class(outputs).tolist() == [row.index(max(row)) for row in outputs.tolist()]


@pytest.mark.parametrize(("loss", "kind"), [("mse", "vectors"), ("cross_entropy", "class")])
def test_accuracy_is_exact_with_a_last_partial_batch(tmp_path, loss, kind):
    data = Points(kind)
    module = GrokkingModule(lambda sizes: MLP(sizes, width=4), loss=loss)
    (measured,) = trainer(tmp_path).validate(module, data, verbose=False)
    with torch.no_grad():
        outputs = module.network(data.inputs[7:])
    if kind == "vectors":
        predicted = torch.cdist(outputs.double(), data.class_targets.double()).argmin(1)
        expected_loss = F.mse_loss(outputs, data.targets[7:])
    else:
        predicted = outputs.argmax(1)
        expected_loss = F.cross_entropy(outputs, data.labels[7:])
    correct = int((predicted == data.labels[7:]).sum())
    assert measured["val_accuracy"] == pytest.approx(correct / 4099, abs=1e-7)
    assert measured["val_loss"] == pytest.approx(float(expected_loss), rel=1e-5)


class WithDropout(nn.Module):
    """Draws random numbers in training mode only."""

    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(sizes.inputs, 8), nn.Dropout(0.5), nn.Linear(8, sizes.outputs))

    def embedding_parameters(self):
        return iter(())

    def forward(self, inputs):
        return self.layers(inputs)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_no_trace(tmp_path, training):
    module, data = GrokkingModule(WithDropout), Points()
    trainer(tmp_path).validate(module, data, verbose=False)  # attaches the module to a trainer
    module.train(training)
    state = torch.get_rng_state()
    losses, correct = module.evaluate(data.val_set)
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training is training
    assert all(part.training is training for part in module.network.modules())
    assert all(parameter.grad is None for parameter in module.parameters())
    module.eval()
    with torch.no_grad():
        outputs = module(data.val_set[0])
    assert torch.allclose(losses, ((outputs - data.val_set[1]) ** 2).mean(1))
    assert torch.equal(correct, module.predict_class(outputs) == data.labels[7:])


def sequential_by_hand(seed, alpha):
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 10))
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.mul_(alpha)
    return layers


class KeepInitialWeights(pl.Callback):
    """Copies the weights before the first step."""

    weights: dict[str, torch.Tensor]

    def on_train_start(self, trainer, pl_module):
        type(self).weights = {name: value.clone() for name, value in pl_module.network.state_dict().items()}


@pytest.mark.parametrize(
    ("options", "seed"),
    [
        (["--seed_everything=3"], 3),
        (["--seed_everything=3", "--model.init_seed=11"], 11),
        (["--seed_everything=3", "--data.train_seed=9", "--data.train_size=20"], 3),
    ],
)
def test_initial_weights_depend_on_the_seed_alone(grok, small_mnist, tmp_path, options, seed):
    keep = "--trainer.callbacks+=tests.training.test_module.KeepInitialWeights"
    status, _, err = grok("fit", *small_mnist, keep, *options, "--trainer.max_steps=1", "--run_dir", tmp_path / "run")
    assert status == 0, err
    for name, expected in sequential_by_hand(seed, alpha=8).state_dict().items():
        assert torch.equal(KeepInitialWeights.weights[f"layers.{name}"], expected), name


def test_building_does_not_disturb_the_global_generator():
    torch.manual_seed(4)
    state = torch.get_rng_state()
    first = built(class_targets=torch.eye(3)).network.state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    second = built(class_targets=torch.eye(3)).network.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_checkpoint_loads_without_its_data(grok, small_mnist, tmp_path):
    status, _, err = grok("fit", *small_mnist, "--run_dir", tmp_path / "run")
    assert status == 0, err
    path = RunFolder(tmp_path / "run").checkpoint
    module = GrokkingModule.load_from_checkpoint(path, map_location="cpu")
    weights = torch.load(path)["state_dict"]
    inputs = torch.rand(50, 784, generator=torch.Generator().manual_seed(0))
    hidden = inputs
    for layer in (0, 2):
        hidden = (hidden @ weights[f"network.layers.{layer}.weight"].T + weights[f"network.layers.{layer}.bias"]).relu()
    outputs = hidden @ weights["network.layers.4.weight"].T + weights["network.layers.4.bias"]
    with torch.no_grad():
        assert torch.allclose(module(inputs), outputs, rtol=1e-4, atol=1e-5)
        assert torch.equal(module.predict_class(module(inputs)), outputs.argmax(1))


@pytest.mark.parametrize(("loss", "targets"), [("mse", None), ("cross_entropy", torch.eye(3))])
def test_loss_must_fit_the_targets(loss, targets):
    with pytest.raises(UserError, match="change one or the other"):
        built(loss, targets)


class Narrow(nn.Module):
    """A network with a mistake of its own."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.layer = nn.Linear(sizes.inputs + 1, sizes.outputs)

    def forward(self, inputs):
        return self.layer(inputs)


def test_a_mistake_of_the_network_is_not_blamed_on_the_compiler(monkeypatch, capsys):
    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: original(self, backend="eager"))
    module = GrokkingModule(Narrow, loss="cross_entropy", compile=True)
    module.build(Sizes(inputs=5, outputs=3), None)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="shape"):
            module(torch.randn(2, 5))
    assert "torch.compile" not in capsys.readouterr().err


def test_without_a_trainer_there_is_no_network():
    module = GrokkingModule(lambda sizes: MLP(sizes, width=4))
    module.configure_model()
    assert not hasattr(module, "network")
