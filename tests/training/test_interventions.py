"""Interventions: what `fit` trains with each is what a loop in plain torch does."""

import copy
from types import SimpleNamespace

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from torch.nn import functional as F

from grokking_pl.callbacks import (
    DecayToInitial,
    FrozenGroup,
    GradientFilter,
    GradientNoise,
    GradientWindow,
    HeldNorm,
    Intervention,
    OrthogonalGradient,
    PhaseTracker,
)
from grokking_pl.errors import UserError
from grokking_pl.experiments import ExperimentBuilder
from grokking_pl.training.interventions.gradient_noise import normal_numbers
from tests.conftest import ROOT

STEPS = 12
CONFIG = yaml.safe_load((ROOT / "configs/toy_addition.yaml").read_text())
SETTINGS = {name: CONFIG[name] for name in ("model", "data")}
SETTINGS["model"]["init_args"]["architecture"]["init_args"] |= {"width": 12}
SETTINGS["model"]["init_args"]["decoder"] = {"lr": 0.01, "weight_decay": 1.0}
TOY = (
    "fit", "--config", str(ROOT / "configs/toy_addition.yaml"), "--trainer.enable_progress_bar=false",
    "--trainer.logger=[]", "--model.architecture.width=12", "--model.decoder.lr=0.01",
)  # fmt: skip


class Loop:
    """A loop in plain torch, with a gradient and weights to be changed by a test."""

    def __init__(self, settings=SETTINGS):
        experiment = ExperimentBuilder().instantiate(settings, 58)
        experiment.build()
        self.network, data = copy.deepcopy(experiment.module.network), experiment.data
        groups = experiment.module.parameter_groups()
        options = {"embeddings": (1e-3, 0.0), "decoder": (0.01, 1.0)}
        names = {id(value): name for name, value in experiment.module.network.named_parameters()}
        own = dict(self.network.named_parameters())
        self.groups = {group: [names[id(value)] for value in groups[group]] for group in groups}
        self.optimizer = torch.optim.AdamW(
            {"params": [own[name] for name in self.groups[group]], "lr": lr, "weight_decay": decay}
            for group, (lr, decay) in options.items()
        )
        self.samples = data.inputs[: data.num_train], data.targets[: data.num_train]

    def run(self, change_gradients=None, change_weights=None, steps=STEPS):
        weights = dict(self.network.named_parameters())
        for step in range(1, steps + 1):
            self.optimizer.zero_grad()
            F.mse_loss(self.network(self.samples[0]), self.samples[1]).backward()
            if change_gradients:
                for name, weight in weights.items():
                    weight.grad = change_gradients(step, name, weight.grad, weight.detach())
            self.optimizer.step()
            if change_weights:
                with torch.no_grad():
                    change_weights(step, weights)
        return {name: weight.detach() for name, weight in weights.items()}


def fit(*callbacks, steps=STEPS, **options):
    experiment = ExperimentBuilder().instantiate(SETTINGS, 58)
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, callbacks=list(callbacks), **options,
    )  # fmt: skip
    trainer.fit(experiment.module, datamodule=experiment.data)
    return {name: value.detach() for name, value in experiment.module.network.named_parameters()}


def check_equal(ours, theirs, rtol=1e-4):
    for name, value in theirs.items():
        torch.testing.assert_close(
            ours[name], value, rtol=rtol, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_exponential_filter():
    means = {}

    def change(step, name, gradient, weight):
        means[name] = gradient.clone() if step == 1 else 0.9 * means[name] + 0.1 * gradient
        return gradient + 2 * means[name]

    check_equal(fit(GradientFilter(alpha=0.9, lamb=2.0)), Loop().run(change))


def test_window_filter():
    last = {}

    def change(step, name, gradient, weight):
        last.setdefault(name, []).append(gradient.clone())
        kept = last[name][-4:]
        return gradient + 5 * torch.stack(kept).mean(0) if len(kept) == 4 else gradient

    check_equal(fit(GradientWindow(window=4, lamb=5.0)), Loop().run(change))


def test_a_window_forgets_large_gradients():
    window = GradientWindow(window=10, lamb=1.0)
    weights = {"w": torch.zeros(50)}
    state = window.initial_state(weights, 0)
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 1001):
        window.change_gradients({"w": torch.randn(50, generator=generator)}, weights, state, torch.tensor(step))
    small = 1e-9 * torch.randn(10, 50, generator=generator)
    for step, gradient in enumerate(small, 1001):
        changed = window.change_gradients({"w": gradient}, weights, state, torch.tensor(step))
    torch.testing.assert_close(changed["w"], small[-1] + small.mean(0), rtol=1e-4, atol=1e-15)


class Typo(Intervention):
    """A user's own, with a mistake."""

    def change_gradient(self, gradients, weights, state, step):
        return {name: 0 * gradient for name, gradient in gradients.items()}


def test_an_intervention_that_changes_nothing_is_refused():
    with pytest.raises(UserError, match="Typo overrides neither change_gradients nor change_weights"):
        Typo()


class Forgetful(Intervention):
    """A user's own, which returns nothing."""

    def change_weights(self, weights, state, step):
        for weight in weights.values():
            weight.mul_(0.9)


def test_an_intervention_that_returns_nothing_is_named(grok, tmp_path):
    words = (
        *TOY,
        f"--trainer.callbacks+={__name__}.Forgetful",
        "--trainer.max_steps=3",
        f"--run_dir={tmp_path / 'run'}",
    )
    status, _, err = grok(*words)
    assert (status, "Forgetful returns NoneType: return a dictionary" in err) == (2, True), err


def test_scaled_gradients_are_refused():
    experiment = ExperimentBuilder().instantiate(SETTINGS, 58)
    experiment.build()
    trainer = SimpleNamespace(precision="16-mixed")
    HeldNorm().on_fit_start(trainer, experiment.module)
    with pytest.raises(UserError, match=r"GradientFilter changes gradients, which in trainer\.precision 16-mixed"):
        GradientFilter().on_fit_start(trainer, experiment.module)


def test_orthogonal_gradient():
    def change(step, name, gradient, weight):
        flat, along = gradient.flatten().double(), weight.flatten().double()
        rest = flat - flat @ along / (along @ along) * along
        return (rest * flat.norm() / rest.norm()).to(gradient).view_as(gradient)

    check_equal(fit(OrthogonalGradient()), Loop().run(change), rtol=1e-3)


def test_an_orthogonal_gradient_may_be_zero():
    """Along the weights alone, as for a tensor with one entry; without weights, the gradient is unchanged."""
    weights = {"one": torch.tensor([0.3]), "along": torch.randn(50, 4), "zero": torch.zeros(7), "still": torch.randn(5)}
    gradients = {"one": torch.tensor([0.7]), "along": weights["along"] * 1.7, "zero": torch.randn(7),
                 "still": torch.zeros(5)}  # fmt: skip
    changed = OrthogonalGradient().change_gradients(gradients, weights, {}, torch.tensor(1))
    assert all(torch.equal(changed[name], torch.zeros_like(weights[name])) for name in ("one", "along", "still"))
    torch.testing.assert_close(changed["zero"], gradients["zero"])


@pytest.mark.parametrize("group", ["all", "decoder"])
def test_held_norm(group):
    loop = Loop()
    chosen = loop.groups["decoder"] + (loop.groups["embeddings"] if group == "all" else [])

    def norm(weights):
        return torch.cat([weights[name].detach().flatten() for name in chosen]).norm()

    held = 0.5 * norm(dict(loop.network.named_parameters()))

    def change(step, weights):
        scale = held / norm(weights)
        for name in chosen:
            weights[name].mul_(scale)

    ours = fit(HeldNorm(factor=0.5, group=group))
    assert norm(ours) == pytest.approx(held.item(), rel=1e-5)
    check_equal(ours, loop.run(change_weights=change))


def test_frozen_group():
    loop = Loop()
    initial = {name: value.detach().clone() for name, value in loop.network.named_parameters()}

    def silence(step, name, gradient, weight):
        return torch.zeros_like(gradient) if step <= 5 and name in loop.groups["decoder"] else gradient

    def restore(step, weights):
        for name in loop.groups["decoder"] if step <= 5 else []:
            weights[name].copy_(initial[name])

    check_equal(fit(FrozenGroup(until_step=5, group="decoder")), loop.run(silence, restore))
    frozen = fit(FrozenGroup(until_step=STEPS, group="embeddings"))
    assert all(torch.equal(frozen[name], initial[name]) for name in loop.groups["embeddings"])


def test_decay_to_the_initial_weights():
    loop = Loop()
    initial = {name: value.detach().clone() for name, value in loop.network.named_parameters()}

    def change(step, weights):
        for name, weight in weights.items():
            weight.add_(0.1 * (initial[name] - weight))

    check_equal(fit(DecayToInitial(rate=0.1)), loop.run(change_weights=change))


def test_noise_of_a_run_is_that_of_its_seed():
    noisy = fit(GradientNoise(strength=1.0))
    check_equal(fit(GradientNoise(strength=1.0)), noisy, rtol=0)
    assert not torch.allclose(noisy["decoder.0.weight"], fit()["decoder.0.weight"], rtol=1e-3)


@given(seed=st.integers(0, 2**32 - 1))
def test_normal_numbers(seed):
    numbers = normal_numbers(torch.tensor(seed), torch.zeros(200, 50))
    assert abs(numbers.mean()) < 0.05
    assert abs(numbers.std() - 1) < 0.05
    assert numbers.unique().numel() > 9900
    neighbour = normal_numbers(torch.tensor(seed + 1), torch.zeros(200, 50))
    assert abs((numbers * neighbour).mean()) < 0.05


def test_gradients_that_are_accumulated_are_changed_once():
    means = {}

    def change(step, name, gradient, weight):
        means[name] = gradient.clone() if step == 1 else 0.9 * means[name] + 0.1 * gradient
        return gradient + 2 * means[name]

    # Batches are whole training sets, so that two of them have the gradient of one.
    ours = fit(GradientFilter(alpha=0.9, lamb=2.0), HeldNorm(), steps=4, accumulate_grad_batches=2)
    loop = Loop()
    held = torch.cat([value.detach().flatten() for value in loop.network.parameters()]).norm()

    def hold(step, weights):
        scale = held / torch.cat([value.flatten() for value in weights.values()]).norm()
        for weight in weights.values():
            weight.mul_(scale)

    check_equal(ours, loop.run(change, hold, steps=4))


class Watcher(PhaseTracker):
    """Notes the norm of the weights after every step."""

    def on_train_batch_end(self, trainer, pl_module, *rest):
        norms.append(torch.cat([value.detach().flatten() for value in pl_module.network.parameters()]).norm().item())


norms = []


def test_what_watches_sees_the_weights_that_are_trained_on():
    norms.clear()
    loop = Loop()
    held = torch.cat([value.detach().flatten() for value in loop.network.parameters()]).norm().item()
    fit(Watcher(), HeldNorm(), steps=3)
    assert norms == pytest.approx([held] * 3, rel=1e-5)


# On the command line.


def test_state_is_in_the_checkpoint(grok, tmp_path):
    options = (
        "--trainer.callbacks+=GradientFilter", "--trainer.callbacks.lamb=1", "--trainer.callbacks+=GradientWindow",
        "--trainer.callbacks.window=5", "--trainer.callbacks+=GradientNoise", "--trainer.callbacks+=DecayToInitial",
        "--trainer.callbacks.group=decoder", "--trainer.callbacks+=HeldNorm",
    )  # fmt: skip
    weights = {}
    for name, pieces in (("whole", (30,)), ("pieces", (11, 30))):
        for steps in pieces:
            further = ["--ckpt_path=last"] * (tmp_path / name).exists()
            status, _, err = grok(
                *TOY, *options, f"--trainer.max_steps={steps}", f"--run_dir={tmp_path / name}", *further
            )
            assert status == 0, err
        loaded = torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)
        weights[name] = loaded["state_dict"]
    assert all(torch.equal(weights["pieces"][name], value) for name, value in weights["whole"].items())
    assert loaded["global_step"] == 30


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("GradientFilter", "lamb=-1"), "GradientFilter: lamb is -1.0; it must be at least 0"),
        (("GradientFilter", "alpha=1"), "alpha is 1.0; it must be at least 0 and less than 1"),
        (("GradientWindow", "window=0"), "window is 0; it must be at least 1"),
        (("HeldNorm", "factor=-1"), "factor is -1.0"),
        (("HeldNorm", "group=head"), "group is head; expected 'all', 'embeddings'"),
        (("FrozenGroup", "until_step=-1"), "until_step is -1"),
        (("DecayToInitial", "rate=1.5"), "rate is 1.5"),
        (("GradientNoise", "strength=-1"), "strength is -1.0"),
        (
            ("tests.training.test_interventions.Flattened",),
            "Flattened changes network.decoder.0.bias from shape (12,) to (1, 12)",
        ),
    ],
)
def test_wrong_options(grok, tmp_path, options, wanted):
    name, *rest = options
    words = (f"--trainer.callbacks+={name}", *(f"--trainer.callbacks.{option}" for option in rest))
    status, _, err = grok(*TOY, *words, "--trainer.max_steps=3", f"--run_dir={tmp_path / 'run'}")
    assert status != 0
    assert wanted in err
    assert len([line for line in err.splitlines() if line.startswith("grok: error")]) == 1


def test_a_group_without_parameters(grok, tmp_path):
    words = ("--config", str(ROOT / "configs/mnist_grok.yaml"), "--model.architecture.decoder_layers=3")
    status, _, err = grok(
        "fit", *words, "--trainer.callbacks+=HeldNorm", "--trainer.callbacks.group=embeddings",
        "--trainer.max_steps=3", f"--run_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert status != 0
    assert "HeldNorm: the group embeddings has no parameters" in err


class Flattened(Intervention):
    """Returns weights of another shape."""

    def change_weights(self, weights, state, step):
        return {name: weight[None] for name, weight in weights.items()}
