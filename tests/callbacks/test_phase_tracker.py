"""The phase tracker: against accuracies that a made-up module dictates, and against weights evaluated by hand."""

import math

import lightning.pytorch as pl
import pytest
import torch

from grokking_pl.callbacks import PhaseTracker
from grokking_pl.data import TensorDataModule
from grokking_pl.data.mnist import MNISTDataModule
from grokking_pl.errors import UserError
from grokking_pl.runs import RunFolder
from grokking_pl.sizes import Sizes

TRAIN, VAL = 10, 20


class Numbers(TensorDataModule):
    """Samples that know their number."""

    def load(self):
        self.inputs = torch.arange(float(TRAIN + VAL)).unsqueeze(1)
        self.targets = self.inputs
        self.num_train, self.class_targets, self.sizes = TRAIN, None, Sizes(1, 1)


class Scripted(pl.LightningModule):
    """Gets as many samples right after each step as the script says, as (training, validation) numbers by step."""

    def __init__(self, script):
        super().__init__()
        self.script = script
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.evaluated_at = []

    def training_step(self, batch, batch_idx):
        return self.weight**2

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def evaluate(self, batch):
        step = self.trainer.global_step
        self.evaluated_at.append(step)
        train, val = self.script(step)
        number = batch[0].squeeze(1)
        correct = torch.where(number < TRAIN, number < train, number < TRAIN + val)
        return torch.full_like(number, 0.5), correct


def track(tmp_path, script, steps, **options):
    tracker, module = PhaseTracker(**{"every_n_steps": 1, **options}), Scripted(script)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[tracker],
    )
    trainer.fit(module, Numbers(steps_per_epoch=7))
    return tracker, module, trainer


def from_step(train, val):
    """Passes the thresholds of 0.9 exactly at the given steps."""
    return lambda step: (9 if step >= train else 0, 18 if step >= val else 17)


NEVER = math.inf


@pytest.mark.parametrize(
    ("train", "val", "phase"),
    [
        (3, 3, "comprehension"),
        (3, 12, "comprehension"),
        (3, 13, "grokking"),
        (0, 20, "grokking"),
        (5, 2, "comprehension"),
        (3, NEVER, "memorization"),
        (NEVER, NEVER, "confusion"),
        (NEVER, 3, "confusion"),
    ],
)
def test_phases_of_table_1(tmp_path, train, val, phase):
    tracker, _, _ = track(tmp_path, from_step(train, val), 20, delay=10)
    assert tracker.phase == phase
    assert tracker.steps_to_train == (None if train is NEVER else train)
    assert tracker.steps_to_val == (None if val is NEVER else val)
    summary = tracker.summary()
    assert summary["phase"] == phase
    assert summary["phase_decided"] == (NEVER not in (train, val))
    assert summary["train_accuracy"] == (0 if train is NEVER else pytest.approx(0.9))
    assert summary["val_loss"] == pytest.approx(0.5)


def test_evaluates_at_multiples_and_at_the_end(tmp_path):
    tracker, module, _ = track(tmp_path, from_step(7, 8), 14, every_n_steps=4)
    assert module.evaluated_at == [0, 4, 8, 12, 14]
    assert tracker.history[:, 0].tolist() == [0, 4, 8, 12, 14]
    assert tracker.history[:, 1].tolist() == pytest.approx([0, 0, 0.9, 0.9, 0.9])
    assert (tracker.steps_to_train, tracker.steps_to_val) == (8, 8)


def test_threshold_is_reached_at_equality_and_not_below(tmp_path):
    reached = track(tmp_path, from_step(2, 2), 4, train_threshold=0.9, val_threshold=0.9)[0]
    assert (reached.steps_to_train, reached.steps_to_val) == (2, 2)
    missed = track(tmp_path, from_step(2, 2), 4, train_threshold=0.91, val_threshold=0.91)[0]
    assert (missed.steps_to_train, missed.steps_to_val) == (None, None)


def dips(step):
    """Both pass at step 2, fall back at step 4, and stay from step 6 on."""
    above = step in (2, 3) or step >= 6
    return (10, 20) if above else (0, 0)


@pytest.mark.parametrize(("window", "step"), [(0, 2), (1, 2), (2, 6), (4, 6), (5, None)])
def test_window(tmp_path, window, step):
    tracker, _, _ = track(tmp_path, dips, 10, window=window)
    assert tracker.steps_to_train == tracker.steps_to_val == step


@pytest.mark.parametrize(("budget", "phase"), [(2, "confusion"), (5, "memorization"), (8, "comprehension")])
def test_budget(tmp_path, budget, phase):
    tracker, _, _ = track(tmp_path, from_step(3, 8), 12, budget=budget)
    assert tracker.phase == phase
    assert tracker.decided


@pytest.mark.parametrize(
    ("script", "options", "end"),
    [
        (from_step(3, 8), {}, 8),
        (from_step(3, 8), {"window": 2}, 10),
        (from_step(3, NEVER), {"budget": 12}, 12),
        (from_step(3, NEVER), {}, 20),
    ],
)
def test_stops_when_decided(tmp_path, script, options, end):
    _, _, trainer = track(tmp_path, script, 20, stop_when_decided=True, **options)
    assert trainer.global_step == end


def test_goes_on_after_the_decision_unless_asked(tmp_path):
    assert track(tmp_path, from_step(3, 8), 20)[2].global_step == 20


def test_an_interrupted_stay_above_the_threshold_goes_on(tmp_path):
    tracker, _, _ = track(tmp_path, dips, 7, window=2)
    assert tracker.steps_to_train is None
    other = PhaseTracker(every_n_steps=1, window=2)
    other.load_state_dict(tracker.state_dict())
    assert torch.equal(other.history, tracker.history)
    other.keep(8, torch.tensor([TRAIN, 0.0, VAL, 0.0]))
    assert other.steps_to_train == 6


class KeepWeights(pl.Callback):
    """Copies the weights at every step."""

    weights: dict[int, dict[str, torch.Tensor]]

    def on_train_start(self, trainer, pl_module):
        type(self).weights = {}
        self.on_train_batch_end(trainer, pl_module)

    def on_train_batch_end(self, trainer, pl_module, *args):
        copies = {name: value.clone() for name, value in pl_module.network.state_dict().items()}
        self.weights[trainer.global_step] = copies


def test_accuracies_and_losses_are_those_of_the_weights(grok, small_mnist, tmp_path):
    status, _, err = grok(
        "fit",
        *small_mnist,
        "--trainer.callbacks.every_n_steps=7",
        "--trainer.callbacks+=tests.callbacks.test_phase_tracker.KeepWeights",
        "--trainer.max_steps=20",
        "--run_dir",
        tmp_path / "run",
    )
    assert status == 0, err
    checkpoint = torch.load(RunFolder(tmp_path / "run").checkpoint)
    (history,) = [state["history"] for name, state in checkpoint["callbacks"].items() if "PhaseTracker" in name]
    assert history[:, 0].tolist() == [0, 7, 14, 20]
    data = MNISTDataModule(train_size=45)
    data.setup()
    for step, *measured in history.tolist():
        weights = KeepWeights.weights[int(step)]
        expected = []
        for inputs, targets in (data.train_set, data.val_set):
            hidden = inputs.double()
            for layer in (0, 2, 4):
                hidden = hidden @ weights[f"layers.{layer}.weight"].double().T + weights[f"layers.{layer}.bias"]
                hidden = hidden.relu() if layer < 4 else hidden
            correct = hidden.argmax(1) == targets.argmax(1)
            expected.append((correct.double().mean().item(), ((hidden - targets) ** 2).mean().item()))
        (train_accuracy, train_loss), (val_accuracy, val_loss) = expected
        assert measured == pytest.approx([train_accuracy, val_accuracy, train_loss, val_loss], rel=1e-4), step


def test_budget_out_of_range():
    with pytest.raises(UserError, match=r"^PhaseTracker: budget is 0; it must be at least 1$"):
        PhaseTracker(budget=0)
