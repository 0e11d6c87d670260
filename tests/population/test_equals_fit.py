"""Every member of a population does what `grok fit` does with its settings."""

import copy

import pytest
import torch
import yaml
from lightning.pytorch import Callback, Trainer

from grokking_pl.callbacks import PhaseTracker, RepresentationQuality
from grokking_pl.experiments import ExperimentBuilder, set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.member import Member, MemberBuilder
from grokking_pl.population.observation import ObservationOptions
from tests.conftest import ROOT

STEPS = 100
THRESHOLDS = (0.4, 0.1)  # so low that short runs pass them
FURTHER = [0.05, 0.5]
SETTINGS = {
    "regression": ("toy_addition", {}),
    "classification": ("toy_classification", {}),
    "permutation": ("permutation_s3", {}),
    "batches": ("toy_addition", {"data.train_count": 50}),
    "transformer": (
        "transformer_modular_addition_small",
        # At higher rates a last digit of the initial weights decides the weights of step 500.
        {"data.task.p": 5, "model.architecture.width": 8, "model.decoder.lr": 1e-4},
    ),
    "scalar": ("toy_addition", {"model.architecture": "tests.population.architectures.WithGain"}),
    "equations": (
        "transformer_modular_addition_small",
        {
            "data": "grokking_pl.data.EquationDataModule",
            "data.modulus": 5,
            "data.batch_size": "all",
            "model.architecture.readout": "last",
            "model.architecture.bias": "none",  # a bias of keys changes nothing, so that its gradient is noise
            "model.architecture.width": 8,
        },
    ),
    "one-hot": (
        "toy_classification",
        # At higher rates a last digit of the initial weights decides the weights of step 500.
        {
            "model.architecture": "grokking_pl.models.OneHotMLP",
            "data.corrupt_fraction": 0.2,
            "model.embeddings.lr": 1e-5,
            "model.decoder.lr": 1e-5,
        },
    ),
    "mnist": ("mnist_grok", {"data.train_size": 45, "data.batch_size": 10, "model.architecture.width": 8}),
}
# Each member has options and a seed of its own: (seed, rate of the decoder, weight decay, rate of the embeddings).
MEMBERS = [(58, 1e-4, 0.0, 1e-3), (58, 1e-3, 3.0, 1e-4), (3, 2e-4, 1.0, 5e-4)]


@pytest.fixture(scope="module")
def builder():
    return MemberBuilder()


def settings_of(name: str, builder: MemberBuilder) -> list[tuple[dict, int]]:
    file, changes = SETTINGS[name]
    base = builder.complete(yaml.safe_load((ROOT / f"configs/{file}.yaml").read_text()))
    settings_and_seeds = []
    for seed, lr, weight_decay, embeddings_lr in MEMBERS:
        settings = copy.deepcopy(base)
        ours = {
            "model.architecture.width": 24,
            "model.decoder.lr": lr,
            "model.decoder.weight_decay": weight_decay,
            "model.embeddings.lr": embeddings_lr,
        }
        for path, value in {**ours, **changes}.items():
            set_value(settings, path, value)
        settings_and_seeds.append((settings, seed))
    return settings_and_seeds


def fit(settings: dict, seed: int, steps: int, callbacks: list[Callback], folder, **options) -> Trainer:
    """Train one member as `grok fit` does."""
    experiment = ExperimentBuilder().instantiate(settings, seed)
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, callbacks=callbacks, default_root_dir=folder,
        limit_val_batches=0, **options,
    )  # fmt: skip
    trainer.fit(experiment.module, datamodule=experiment.data)
    return trainer


def build_members(builder: MemberBuilder, settings: list[tuple[dict, int]]) -> list[Member]:
    return [builder.build(index, member_settings, seed) for index, (member_settings, seed) in enumerate(settings)]


def make_batch(
    builder: MemberBuilder,
    settings: list[tuple[dict, int]],
    budget: int,
    every: int = 1,
    observe: ObservationOptions | None = None,
    further_thresholds: list[float] | None = None,
) -> Batch:
    members = build_members(builder, settings)
    assert len({member.kind for member in members}) == 1
    criteria = PhaseCriteria(every, *THRESHOLDS, further_thresholds=further_thresholds)
    batch = Batch(members[0], len(members), criteria, budget, compiled=False, observe=observe)
    for member in members:
        batch.put(member)
    return batch


@pytest.mark.parametrize("name", SETTINGS)
def test_weights_are_those_of_grok_fit(name, builder, tmp_path):
    compare_weights(name, builder, tmp_path, STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_weights_are_those_of_grok_fit_for_longer(name, builder, tmp_path):
    compare_weights(name, builder, tmp_path, 5 * STEPS)


def compare_weights(name, builder, tmp_path, steps):
    settings = settings_of(name, builder)
    batch = make_batch(builder, settings, budget=10 * steps, every=100 if name == "mnist" else 1)
    batch.advance(steps)
    for place, (member_settings, seed) in enumerate(settings):
        module = fit(member_settings, seed, steps, [], tmp_path).lightning_module
        for key, value in module.named_parameters():
            ours = batch.state.parameters[key][place]
            torch.testing.assert_close(ours, value.detach(), rtol=1e-3, atol=2e-4, msg=lambda text: f"{key}: {text}")  # noqa: B023


@pytest.mark.parametrize("every", [1, 7])
def test_steps_and_labels_are_those_of_the_phase_tracker(every, builder, tmp_path):
    settings = settings_of("regression", builder)
    for member_settings, _ in settings:
        set_value(member_settings, "model.decoder.lr", 2e-3)
        set_value(member_settings, "model.embeddings.lr", 3e-3)
    budget = 200
    batch = make_batch(builder, settings, budget, every, further_thresholds=FURTHER)
    batch.advance(budget + 1)
    outcomes = batch.take_decided()
    assert len(outcomes) == len(settings)
    for outcome, (member_settings, seed) in zip(outcomes, settings, strict=True):
        tracker = PhaseTracker(every, *THRESHOLDS, budget=budget, stop_when_decided=True, further_thresholds=FURTHER)
        fit(member_settings, seed, budget, [tracker], tmp_path)
        summary = tracker.summary()
        for name in ("steps_to_train", "steps_to_val", "train_accuracy", "val_accuracy"):
            assert getattr(outcome, name) == pytest.approx(summary[name]), name
        assert outcome.further_steps == {
            f"steps_to_{which}_{level:g}": summary[f"steps_to_{which}_{level:g}"]
            for level in FURTHER
            for which in ("train", "val")
        }
    assert any(step is not None for outcome in outcomes for step in outcome.further_steps.values())
    assert any(outcome.steps_to_train is not None for outcome in outcomes)


def test_what_is_seen_of_embeddings_is_what_the_callback_sees(builder, tmp_path):
    settings = settings_of("regression", builder)
    for member_settings, _ in settings:
        set_value(member_settings, "model.embeddings.lr", 1e-2)
    set_value(settings[1][0], "data.seed", 9)
    budget, every = 240, 20
    batch = make_batch(builder, settings, budget, observe=ObservationOptions(every, rqi_threshold=0.1))
    batch.advance(budget + every)
    outcomes = batch.take_decided()
    assert [outcome.index for outcome in outcomes] == [0, 1, 2]
    for outcome, (member_settings, seed) in zip(outcomes, settings, strict=True):
        last = min(budget, outcome.steps // every * every + every)
        quality = RepresentationQuality(every, threshold=0.1)
        fit(member_settings, seed, last, [quality], tmp_path)
        summary = quality.summary()
        assert outcome.observed.steps_to_rqi == summary["steps_to_rqi"]
        assert outcome.observed.rqi == pytest.approx(summary["rqi"])
        assert outcome.observed.predicted_accuracy == pytest.approx(summary["predicted_accuracy"])
        assert outcome.observed.effective_dimension == pytest.approx(1)
    assert len({outcome.observed.rqi for outcome in outcomes}) > 1


def test_dropout_differs_by_member_and_is_off_in_evaluations(builder):
    file = ROOT / "configs/transformer_modular_addition_small.yaml"
    settings = builder.complete(yaml.safe_load(file.read_text()))
    for path, value in {"data.task.p": 5, "model.architecture.width": 8, "model.architecture.dropout": 0.5}.items():
        set_value(settings, path, value)
    batch = make_batch(builder, [(settings, 0), (settings, 0)], budget=3)
    batch.advance(1)
    assert not torch.equal(*batch.state.parameters["network.classifier.weight"])
    set_value(settings, "model.architecture.dropout", 0.0)
    batch = make_batch(builder, [(settings, 0), (settings, 0)], budget=3)
    batch.advance(1)
    assert torch.equal(*batch.state.parameters["network.classifier.weight"])


@pytest.mark.slow
def test_compiled_batches_of_one_process_have_graphs_of_their_own(builder):
    for name in ("regression", "permutation"):
        members = build_members(builder, settings_of(name, builder))
        finals = []
        for compiled, places in ((False, 3), (True, 3), (True, 2)):
            batch = Batch(members[0], places, PhaseCriteria(), 1000, compiled=compiled)
            for member in members[:places]:
                batch.put(member)
            batch.advance(50)
            assert (batch.compile_seconds > 0) == compiled
            finals.append({key: value[:2] for key, value in batch.state.parameters.items()})
        for other in finals[1:]:
            for key, value in finals[0].items():
                torch.testing.assert_close(other[key], value, rtol=1e-3, atol=1e-4)


def test_a_member_goes_on_from_its_state(builder):
    settings = settings_of("batches", builder)
    whole = make_batch(builder, settings, budget=1000)
    whole.advance(40)
    halves = make_batch(builder, settings, budget=1000)
    halves.advance(25)
    again = Batch(halves.members[0], len(settings), PhaseCriteria(1, *THRESHOLDS), 1000, compiled=False)
    for place in (2, 0, 1):
        again.put(halves.members[place], halves.state_of(place))
    again.advance(15)
    for name, value in whole.state.parameters.items():
        assert torch.equal(value[[2, 0, 1]], again.state.parameters[name])
