"""What a population honours of the trainer's options, against a Trainer with the same."""

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.experiments import set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.clipping import clip_gradients
from grokking_pl.population.member import MemberBuilder
from tests.conftest import ROOT
from tests.population.test_equals_fit import fit

STEPS = 30
CASES = {
    "norm": ({"gradient_clip_val": 0.01}, {}),
    "value": ({"gradient_clip_val": 1e-3, "gradient_clip_algorithm": "value"}, {}),
    "accumulated": ({"accumulate_grad_batches": 4}, {"data.batch_size": 13}),
    "accumulated whole sets": ({"accumulate_grad_batches": 2}, {}),
    "double": ({"precision": "64-true"}, {}),
    "double batches": ({"precision": 64, "gradient_clip_val": 0.01}, {"data.batch_size": 13}),
}


@pytest.fixture(scope="module")
def builder():
    return MemberBuilder()


@pytest.mark.parametrize("name", CASES)
def test_weights_are_those_of_a_trainer_with_the_option(name, builder, tmp_path):
    options, changes = CASES[name]
    given = yaml.safe_load((ROOT / "configs/toy_addition.yaml").read_text())
    base = builder.complete(given | {"trainer": options | {"max_steps": 7}})
    assert base["trainer"] == options
    for path, value in {"model.architecture.width": 24, **changes}.items():
        set_value(base, path, value)
    # Of SGD the length of the gradient matters, which Adam forgets.
    set_value(base, "model.decoder", {"class_path": "SGD", "init_args": {"lr": 0.1}})
    members = [builder.build(index, base, seed) for index, seed in enumerate((58, 3))]
    batch = Batch(members[0], 2, PhaseCriteria(), STEPS, compiled=False)
    for member in members:
        batch.put(member)
    batch.advance(STEPS)
    double = "precision" in options
    for place, seed in enumerate((58, 3)):
        plain = {key: value for key, value in base.items() if key != "trainer"}
        module = fit(plain, seed, STEPS, [], tmp_path, **options).lightning_module
        for key, value in module.named_parameters():
            ours = batch.state.parameters[key][place]
            assert ours.dtype == (torch.float64 if double else torch.float32)
            close = {"rtol": 1e-9, "atol": 1e-11} if double else {"rtol": 1e-3, "atol": 1e-4}
            torch.testing.assert_close(ours, value.detach(), **close)


@given(st.lists(st.floats(1e-3, 10), min_size=1, max_size=4), st.sampled_from(["norm", "value"]), st.integers(0, 99))
@settings(max_examples=30)
def test_gradients_are_clipped_as_torch_clips_those_of_each(limits, clipping, seed):
    draws = torch.Generator().manual_seed(seed)
    shapes = {"matrix": (3, 4), "vector": (5,), "number": ()}
    stacks = {name: torch.randn(len(limits), *shape, generator=draws) for name, shape in shapes.items()}
    clipped = clip_gradients(stacks, clipping, torch.tensor(limits))
    for place, limit in enumerate(limits):
        singles = {name: torch.nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
        for name, single in singles.items():
            single.grad = stacks[name][place].clone()
        clip = torch.nn.utils.clip_grad_norm_ if clipping == "norm" else torch.nn.utils.clip_grad_value_
        clip(list(singles.values()), limit)
        for name, single in singles.items():
            torch.testing.assert_close(clipped[name][place], single.grad)


def test_limits_of_members_differ_within_a_batch(builder):
    given = yaml.safe_load((ROOT / "configs/toy_addition.yaml").read_text())
    base = builder.complete(given | {"trainer": {"gradient_clip_val": 0.5}})
    members = []
    for limit in (0.5, 0.25):
        set_value(base, "trainer.gradient_clip_val", limit)
        members.append(builder.build(0, base, 58))
    assert members[0].kind == members[1].kind != builder.build(0, builder.complete(given), 58).kind
    batch = Batch(members[0], 2, PhaseCriteria(), 9, compiled=False)
    for member in members:
        batch.put(member)
    assert batch.state.most.tolist() == [0.5, 0.25]
