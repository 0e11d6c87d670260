"""Training as in Power et al.: the optimizer against their update written out, and whole runs."""

import copy
import json
import math

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from grokking_pl.errors import UserError
from grokking_pl.models import ToyModel, Transformer
from grokking_pl.runs import RunFolder
from grokking_pl.sizes import Sizes
from grokking_pl.training import GrokkingModule, NoisyAdam, PowerModule, PowerOptions

EQUATIONS = Sizes(inputs=6, outputs=20, symbols=7, tokens=20, first_symbol=5, answers=2)
SMALL = [
    "--config", "configs/papers/power_addition.yaml", "--data.modulus=7", "--model.architecture.width=16",
    "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=10", "--trainer.callbacks=PhaseTracker",
    "--trainer.callbacks.every_n_steps=10",
]  # fmt: skip


def by_hand(weights, gradients, kind, decay, noise, lr, betas, eps):
    """The published update, one weight tensor at a time, with the global generator's draws in the same order."""
    initial = [weight.clone() for weight in weights]
    first = [torch.zeros_like(weight) for weight in weights]
    second = [torch.zeros_like(weight) for weight in weights]
    for step, step_gradients in enumerate(gradients, start=1):
        for k, weight in enumerate(weights):
            if kind == "to_zero":
                weight *= 1 - lr * decay
            elif kind == "to_init":
                weight += (initial[k] - weight) * (lr * decay)
            elif kind == "jiggle":
                weight *= math.exp(float(torch.randn(())) * lr * decay)
        for k, weight in enumerate(weights):
            gradient = step_gradients[k] + (decay * weight if kind == "honest" else 0)
            first[k] = betas[0] * first[k] + (1 - betas[0]) * gradient
            second[k] = betas[1] * second[k] + (1 - betas[1]) * gradient**2
            direction = first[k] / (second[k].sqrt() / math.sqrt(1 - betas[1] ** step) + eps)
            if noise == 0:
                weight -= lr / (1 - betas[0] ** step) * direction
            else:
                weight -= lr / (1 - betas[0] ** step) * (direction + noise * torch.randn_like(weight))
    return weights


@pytest.mark.parametrize("kind", ["to_zero", "to_init", "honest", "jiggle"])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_published_update(kind, noise):
    torch.manual_seed(0)
    shapes = [(5, 4), (7,)]
    start = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    gradients = [[torch.randn(shape, dtype=torch.float64) for shape in shapes] for _ in range(30)]
    options = {"lr": 3e-2, "betas": (0.9, 0.98), "eps": 1e-8}
    torch.manual_seed(1)
    expected = by_hand([w.clone() for w in start], gradients, kind, 0.7, noise, **options)
    ours = [nn.Parameter(weight.clone()) for weight in start]
    optimizer = NoisyAdam(
        [{"params": ours, **options, "weight_decay": 0.7, "weight_decay_kind": kind, "noise_factor": noise}]
    )
    torch.manual_seed(1)
    for step_gradients in gradients:
        for parameter, gradient in zip(ours, step_gradients, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    for parameter, weight in zip(ours, expected, strict=True):
        assert torch.allclose(parameter.detach(), weight, rtol=1e-6, atol=1e-9)  # the factor of jiggle is single


def test_kinds_differ():
    """What the comparison above rests on."""
    ends = []
    for kind in ("to_zero", "to_init", "honest", "jiggle"):
        torch.manual_seed(0)
        parameter = nn.Parameter(torch.randn(9))
        optimizer = NoisyAdam([{"params": [parameter], "lr": 0.1, "weight_decay": 1.0, "weight_decay_kind": kind}])
        for _ in range(5):
            parameter.grad = torch.ones(9)
            optimizer.step()
        ends.append(parameter.detach())
    assert all(not torch.allclose(ends[i], ends[j]) for i in range(4) for j in range(i))


def test_groups_have_their_own_kinds():
    embeddings, decoder = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = NoisyAdam(
        [
            {"params": [embeddings], "lr": 0.1, "weight_decay": 1.0, "weight_decay_kind": "to_init"},
            {"params": [decoder], "lr": 0.1, "weight_decay": 1.0, "weight_decay_kind": "to_zero"},
        ]
    )
    for parameter in (embeddings, decoder):
        parameter.grad = torch.zeros(3)
    for _ in range(2):
        optimizer.step()
    assert torch.equal(embeddings.detach(), torch.ones(3))
    assert torch.allclose(decoder.detach(), torch.full((3,), 0.81))


def module(**options) -> PowerModule:
    made = PowerModule(lambda sizes: Transformer(sizes, layers=1, width=16, readout="last"), **options)
    made.build(EQUATIONS, None)
    return made


def test_loss_and_correctness_of_answers():
    draws = torch.Generator().manual_seed(0)
    outputs = torch.randn(9, 2, 20, generator=draws)
    targets = outputs.argmax(-1)
    targets[1, 0] = (targets[1, 0] + 1) % 20
    targets[2, 1] = (targets[2, 1] + 1) % 20
    chances = outputs.softmax(-1)
    expected = [
        -sum(math.log(chances[row, place, targets[row, place]]) for place in range(2)) / 2 for row in range(9)
    ]  # fmt: skip
    losses, correct = module().score(outputs, targets)
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    assert correct.tolist() == [True, False, False, *[True] * 6]
    assert float(module().compute_loss(outputs, targets)) == pytest.approx(sum(expected) / 9, rel=1e-5)


def test_weight_noise():
    noisy = module(weight_noise=0.1)
    inputs = torch.randint(20, (5, 6))
    noisy.train()
    before = copy.deepcopy(noisy.network.state_dict())
    torch.manual_seed(0)
    outputs = noisy(inputs)
    outputs.sum().backward()
    by_hand = copy.deepcopy(noisy.network)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in by_hand.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    by_hand.zero_grad()
    expected = by_hand(inputs)
    expected.sum().backward()
    assert torch.allclose(outputs, expected)
    for (name, ours), theirs in zip(noisy.network.named_parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(ours, before[name])
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
    noisy.eval()
    assert torch.equal(noisy(inputs), noisy.network(inputs))


def test_warm_up_and_annealing(grok, tmp_path):
    status, _, err = grok(
        "fit", *SMALL, "--run_dir", tmp_path, "--trainer.max_steps=40", "--model.anneal_steps=20",
        "--model.embeddings.lr=2e-3", "--trainer.callbacks+=tests.training.test_power.KeepRates",
    )  # fmt: skip
    assert status == 0, err
    for step, (embeddings, decoder) in KeepRates.rates.items():
        done = min(1, (step - 10) / 20)
        factor = step / 10 if step < 10 else 0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2
        assert decoder == pytest.approx(1e-3 * factor, abs=1e-9)
        assert embeddings == pytest.approx(2e-3 * factor, abs=1e-9)
    assert sorted(KeepRates.rates) == list(range(40))


class KeepRates(pl.Callback):
    """Notes the learning rates of both groups before each update."""

    rates: dict[int, tuple[float, ...]] = {}  # noqa: RUF012

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        type(self).rates[trainer.global_step] = tuple(group["lr"] for group in optimizer.param_groups)


@pytest.mark.parametrize(
    "options",
    [
        ["--model.weight_noise=0.01"],
        ["--model.decoder.weight_decay_kind=to_init", "--model.embeddings.weight_decay_kind=jiggle"],
        ["--model.decoder.noise_factor=0.1"],
    ],
    ids=["weight_noise", "decays", "noise_factor"],
)
def test_interrupted_run_is_the_same(grok, tmp_path, options):
    """The noises come from the step's own seed, and the initial weights are in the checkpoint."""
    for name, stops in (("whole", (20,)), ("parts", (7, 20))):
        for stop in stops:
            resume = ["--ckpt_path=last"] if stop != stops[0] else []
            status, _, err = grok(
                "fit", *SMALL, *options, "--run_dir", tmp_path / name, f"--trainer.max_steps={stop}", *resume
            )
            assert status == 0, err
    ours, theirs = (
        torch.load(RunFolder(tmp_path / name).checkpoint, weights_only=True)["state_dict"]
        for name in ("whole", "parts")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_small_sort_is_learned(grok, tmp_path):
    """A list task, whose answers have three tokens, is learned to the last training example."""
    status, _, err = grok(
        "fit", *SMALL, "--run_dir", tmp_path, "--trainer.max_steps=150", "--data.operator=sort",
        "--data.operand_length=2", "--data.batch_size=all", "--data.train_percent=80", "--model.architecture.width=32",
    )  # fmt: skip
    assert status == 0, err
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["train_accuracy"] > 0.9
    assert 0 <= summary["val_accuracy"] <= 1
    status, out, err = grok("validate", *SMALL[:4], "--data.operator=sort", "--data.operand_length=2",
                            "--data.train_percent=80", "--model.architecture.width=32", "--run_dir", tmp_path,
                            "--ckpt_path=last")  # fmt: skip
    assert status == 0, err
    assert f"{summary['val_accuracy']:.4f}"[:4] in out
    status, out, err = grok("predict", *SMALL[:4], "--data.operator=sort", "--data.operand_length=2",
                            "--data.train_percent=80", "--model.architecture.width=32", "--run_dir", tmp_path,
                            "--ckpt_path=last")  # fmt: skip
    assert status == 0, err
    assert (tmp_path / "predictions.csv").read_text().startswith("sample,prediction")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup_steps": -1}, "warmup_steps is -1"),
        ({"anneal_steps": 0}, "anneal_steps 0"),
        ({"weight_noise": -0.1}, "weight_noise is -0.1"),
        ({"weight_noise": 0.1, "compile": True}, "set compile to false"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(UserError, match=message):
        module(**options)


@pytest.mark.parametrize("name", ["lr", "weight_decay", "noise_factor", "eps"])
def test_group_options_out_of_range(name):
    for value in (-1.0, math.nan, math.inf):
        with pytest.raises(UserError, match=f"{name} is"):
            PowerOptions(**{name: value})
    with pytest.raises(UserError, match="betas are"):
        PowerOptions(betas=(0.9, 1.0))


def test_parts_that_do_not_fit():
    with pytest.raises(UserError, match="choose Transformer"):
        ToyModel(EQUATIONS)
    with pytest.raises(UserError, match="targets are vectors"):
        module().build(Sizes(2, 3, 7), torch.eye(3))


def test_every_module_scores_the_tokens_of_an_answer():
    plain = GrokkingModule(lambda sizes: Transformer(sizes, readout="last"), loss="cross_entropy")
    plain.build(EQUATIONS, None)
    outputs, targets = torch.randn(5, 2, 7), torch.randint(7, (5, 2))
    targets[3] = outputs[3].argmax(-1)
    losses, correct = plain.score(outputs, targets)
    by_token = torch.log_softmax(outputs, -1).gather(-1, targets[..., None]).squeeze(-1)
    torch.testing.assert_close(losses, -by_token.mean(1))
    torch.testing.assert_close(plain.compute_loss(outputs, targets), losses.mean())
    assert correct.tolist() == [bool((o.argmax(-1) == t).all()) for o, t in zip(outputs, targets, strict=True)]
