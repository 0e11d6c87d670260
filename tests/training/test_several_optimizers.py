"""Optimizers of two groups against PyTorch's own, one for each group."""

import copy
import math

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from grokking_pl.runs import RunFolder
from grokking_pl.training import GroupOptions, Lion, Schedule, build_optimizer
from grokking_pl.training.schedule import schedule_optimizer
from grokking_pl.training.several_optimizers import SeveralOptimizers
from tests.conftest import ROOT

KINDS = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=3e-2, weight_decay=0.5),
    "adamw of another rate": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, betas=(0.5, 0.9)),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=0.1),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.01, momentum=0.5, centered=True),
    "lion": lambda parameters: Lion(parameters, lr=0.01, weight_decay=0.1),
    "options": GroupOptions(lr=3e-2, weight_decay=0.3),
}
NAMES = ("embeddings", "decoder")


class Toy(nn.Module):
    """Embeddings of seven symbols and a decoder."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embeddings = nn.Embedding(7, 3)
            self.decoder = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))

    def loss(self, step):
        draws = torch.Generator().manual_seed(step)
        pairs = torch.randint(7, (11, 2), generator=draws)
        targets = torch.randn(11, 2, generator=draws)
        return nn.functional.mse_loss(self.decoder(self.embeddings(pairs).sum(1)), targets)

    def groups(self):
        return {name: list(getattr(self, name).parameters()) for name in NAMES}


def train(network, optimizers, steps, schedulers=(), first=0):
    for step in range(first, first + steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        network.loss(step).backward()
        for optimizer in optimizers:
            optimizer.step()
        for scheduler in schedulers:
            scheduler.step()


def torch_optimizer(kind, parameters):
    if isinstance(kind, GroupOptions):
        return torch.optim.AdamW(parameters, lr=kind.lr, weight_decay=kind.weight_decay, fused=True)
    return kind(parameters)


def assert_same(ours, theirs):
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name


@given(st.sampled_from(list(KINDS)), st.sampled_from(list(KINDS)), st.booleans(), st.integers(0, 15))
@settings(max_examples=40)
def test_equals_an_optimizer_for_each_group_to_the_bit(first, second, scheduled, stop):
    """Also with a schedule for one of them, and when all is loaded from a checkpoint on the way."""
    kinds = dict(zip(NAMES, (KINDS[first], KINDS[second]), strict=True))
    schedules = {"embeddings": None, "decoder": Schedule(4, "linear", 8, 0.25) if scheduled else None}

    def build(network):
        optimizer = build_optimizer(network.groups(), kinds, separate=scheduled)
        configured = schedule_optimizer(optimizer, schedules, 20)
        return (optimizer, [configured["lr_scheduler"]["scheduler"]]) if scheduled else (optimizer, [])

    ours = Toy()
    optimizer, schedulers = build(ours)
    train(ours, [optimizer], stop, schedulers)
    assert [group["name"] for group in optimizer.param_groups] == list(NAMES)
    saved = copy.deepcopy((ours.state_dict(), optimizer.state_dict(), [part.state_dict() for part in schedulers]))
    ours = Toy()
    ours.load_state_dict(saved[0])
    optimizer, schedulers = build(ours)
    optimizer.load_state_dict(saved[1])
    for scheduler, state in zip(schedulers, saved[2], strict=True):
        scheduler.load_state_dict(state)
    train(ours, [optimizer], 20 - stop, schedulers, stop)

    theirs = Toy()
    optimizers = [torch_optimizer(kinds[name], parameters) for name, parameters in theirs.groups().items()]
    factor = schedules["decoder"].factor if scheduled else None
    others = [torch.optim.lr_scheduler.LambdaLR(optimizers[1], factor)] if scheduled else []
    train(theirs, optimizers, 20, others)
    assert_same(ours, theirs)


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("adamw", "adamw of another rate", True),
        ("options", "options", True),
        ("adamw", "options", False),
        ("sgd", "adamw", False),
    ],
)
def test_groups_of_one_class_have_one_optimizer(first, second, one):
    optimizer = build_optimizer(Toy().groups(), {"embeddings": KINDS[first], "decoder": KINDS[second]})
    assert isinstance(optimizer, SeveralOptimizers) is not one


def test_muon_leaves_what_is_no_matrix_to_adamw():
    ours, theirs = Toy(), Toy()
    muon = lambda parameters: torch.optim.Muon(parameters, lr=0.02, weight_decay=0.5)  # noqa: E731
    optimizer = build_optimizer(ours.groups(), {"embeddings": GroupOptions(lr=0.1), "decoder": muon})
    train(ours, [optimizer], 10)
    decoder = list(theirs.decoder.parameters())
    others = [
        torch.optim.AdamW(theirs.embeddings.parameters(), lr=0.1, weight_decay=0, fused=True),
        muon([weight for weight in decoder if weight.dim() == 2]),
        torch.optim.AdamW([weight for weight in decoder if weight.dim() < 2], lr=0.02, weight_decay=0.5, fused=True),
    ]
    train(theirs, others, 10)
    assert_same(ours, theirs)
    assert sorted(group["name"] for group in optimizer.param_groups) == ["decoder", "decoder_vectors", "embeddings"]


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True), st.floats(0, 2), st.integers(0, 99))
def test_lion_is_program_1_of_its_paper(beta1, beta2, decay, seed):
    torch.manual_seed(seed)
    ours = nn.Parameter(torch.randn(4, 3, dtype=torch.float64))
    theirs, momentum = ours.detach().clone(), torch.zeros(4, 3, dtype=torch.float64)
    optimizer = Lion([ours], lr=0.125, betas=(beta1, beta2), weight_decay=decay)
    for _ in range(5):
        gradient = torch.randn(4, 3, dtype=torch.float64)
        ours.grad = gradient.clone()
        optimizer.step()
        update = torch.sign(momentum * beta1 + gradient * (1 - beta1))
        momentum = momentum * beta2 + gradient * (1 - beta2)
        theirs = theirs - 0.125 * (update + decay * theirs)
    assert torch.allclose(ours, theirs, rtol=1e-12)


def test_a_gradient_scaler_skips_the_step_of_both():
    network = Toy()
    kinds = {"embeddings": KINDS["options"], "decoder": KINDS["sgd"]}
    optimizer = build_optimizer(network.groups(), kinds)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    before = copy.deepcopy(network.state_dict())
    scaler.scale(network.loss(0)).backward()
    network.decoder[0].weight.grad[0, 0] = math.inf
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2
    assert all(torch.equal(before[name], weight) for name, weight in network.state_dict().items())
    optimizer.zero_grad()
    scaler.scale(network.loss(0)).backward()
    scaler.step(optimizer)
    plain = Toy()
    train(plain, [build_optimizer(plain.groups(), kinds)], 1)
    for name, weight in plain.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], weight)


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimisation (Foret et al., 2021): the gradient at the worst point of a ball is taken."""

    def __init__(self, params, lr: float = 0.01, rho: float = 0.05):
        super().__init__(params, {"lr": lr, "rho": rho})

    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        weights = [(group, weight) for group in self.param_groups for weight in group["params"]]
        norm = torch.stack([weight.grad.norm() for _, weight in weights]).norm()
        shifts = [group["rho"] / norm * weight.grad for group, weight in weights]
        for (_, weight), shift in zip(weights, shifts, strict=True):
            weight.add_(shift)
        with torch.enable_grad():
            closure()
        for (group, weight), shift in zip(weights, shifts, strict=True):
            weight.sub_(shift).sub_(weight.grad, alpha=group["lr"])
        return loss


class Watch(pl.Callback):
    """Keeps the first weights, and notes steps and learning rates."""

    def on_train_start(self, trainer, pl_module):
        type(self).first = copy.deepcopy(pl_module)
        type(self).steps, type(self).rates = [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.steps.append(trainer.global_step)
        type(self).last, type(self).data = pl_module, trainer.datamodule

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append([group["lr"] for group in optimizer.param_groups])


SMALL = [
    "--config", str(ROOT / "configs/toy_addition.yaml"), "--trainer.max_steps=8", "--trainer.logger=false",
    "--trainer.enable_progress_bar=false", "--model.architecture.width=8", "--trainer.accelerator=cpu",
]  # fmt: skip
WATCH = f"--trainer.callbacks+={__name__}.Watch"


def test_sam_takes_its_two_passes_in_fit(grok, tmp_path):
    groups = [f"--model.{name}={__name__}.SAM" for name in NAMES] + ["--model.decoder.lr=0.1"]
    status, _, err = grok("fit", *SMALL, *groups, WATCH, "--run_dir", tmp_path / "run")
    assert status == 0, err
    assert Watch.steps == list(range(1, 9))
    module, (inputs, targets) = Watch.first, Watch.data.train_set
    optimizer = build_optimizer(module.parameter_groups(), {"embeddings": SAM, "decoder": lambda p: SAM(p, lr=0.1)})

    def closure():
        optimizer.zero_grad()
        loss = module.compute_loss(module(inputs), targets)
        loss.backward()
        return loss

    for _ in range(8):
        optimizer.step(closure)
    for ours, theirs in zip(Watch.last.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


TWO = [
    "--model.decoder=SGD", "--model.decoder.lr=0.1", "--model.decoder.momentum=0.9", "--model.embeddings=Lion",
    "--model.decoder_schedule.warmup_steps=4", "--model.schedule=ExponentialLR", "--model.schedule.gamma=0.9",
]  # fmt: skip


def test_two_optimizers_and_schedules_resume_to_the_bit(grok, tmp_path):
    """With clipping and accumulation, one step of Lightning's is one of both optimizers and of their schedules."""
    more = ["--trainer.gradient_clip_val=0.01", "--trainer.accumulate_grad_batches=2", "--data.batch_size=9", WATCH]

    def fit(name, *options):
        status, _, err = grok("fit", *SMALL, *TWO, *more, "--run_dir", tmp_path / name, *options)
        assert status == 0, err
        return torch.load(RunFolder(tmp_path / name).checkpoint)

    whole = fit("whole")
    assert Watch.steps[-1] == whole["global_step"] == 8
    assert Watch.rates == [
        [pytest.approx(1e-4 * 0.9**step), pytest.approx(0.1 * min(1, step / 4))] for step in range(8)
    ]
    fit("parts", "--trainer.max_steps=5")
    parts = fit("parts", "--ckpt_path=last")
    for name, weight in whole["state_dict"].items():
        assert torch.equal(parts["state_dict"][name], weight), name
    for index, state in whole["optimizer_states"][0]["state"].items():
        assert all(torch.equal(parts["optimizer_states"][0]["state"][index][key], state[key]) for key in state)
