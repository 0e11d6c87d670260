"""Each loss is its formula, sample by sample; the short names are torch's kernels, to the bit."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.models import MLP
from grokking_pl.sizes import Sizes
from grokking_pl.training import CrossEntropy, GrokkingModule, Loss, MeanSquaredError, StableMax
from grokking_pl.training.losses import check_targets, loss_of
from grokking_pl.training.objective import batch_loss, sample_losses


def softmax_loss(row: list[float], label: int, smoothing: float = 0.0) -> float:
    """Of one sample: minus the logarithm of the probability, also averaged over classes for the smoothed share."""
    logs = [x - math.log(sum(math.exp(y) for y in row)) for x in row]
    return -(1 - smoothing) * logs[label] - smoothing * sum(logs) / len(row)


def stable_max_loss(row: list[float], label: int) -> float:
    s = [x + 1 if x >= 0 else 1 / (1 - x) for x in row]
    return -math.log(s[label] / sum(s))


OF_CLASSES = {
    "cross_entropy": (CrossEntropy(), softmax_loss),
    "smoothed": (CrossEntropy(0.3), lambda row, label: softmax_loss(row, label, 0.3)),
    "64 bits": (CrossEntropy(precision=64), softmax_loss),
    "smoothed in 64 bits": (CrossEntropy(0.1, 64), lambda row, label: softmax_loss(row, label, 0.1)),
    "stable_max": (StableMax(), stable_max_loss),
}
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 7), st.integers(0, 2**31))


@pytest.mark.parametrize("name", OF_CLASSES)
@given(shape=SHAPES, is_answer=st.booleans())
def test_losses_of_classes_are_their_formulas(name, shape, is_answer):
    loss, formula = OF_CLASSES[name]
    samples, tokens, classes, seed = shape
    draws = torch.Generator().manual_seed(seed)
    size = (samples, tokens) if is_answer else (samples,)
    outputs = 3 * torch.randn(*size, classes, generator=draws, dtype=torch.float64)
    labels = torch.randint(classes, size, generator=draws)
    losses = sample_losses(loss, outputs, labels)
    rows = zip(outputs.view(samples, -1, classes).tolist(), labels.view(samples, -1).tolist(), strict=True)
    expected = [sum(formula(x, y) for x, y in zip(answer, truth, strict=True)) / len(truth) for answer, truth in rows]
    assert losses.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert float(batch_loss(loss, outputs, labels)) == pytest.approx(sum(expected) / samples, rel=1e-9, abs=1e-9)


@given(SHAPES)
def test_mean_squared_error_is_its_formula(shape):
    samples, _, dimension, seed = shape
    outputs, targets = torch.randn(2, samples, dimension, generator=torch.Generator().manual_seed(seed)).double()
    expected = [
        sum((x - y) ** 2 for x, y in zip(*rows, strict=True)) / dimension
        for rows in zip(outputs.tolist(), targets.tolist(), strict=True)
    ]
    assert sample_losses(MeanSquaredError(), outputs, targets).tolist() == pytest.approx(expected)
    assert float(batch_loss(MeanSquaredError(), outputs, targets)) == pytest.approx(sum(expected) / samples)


def test_the_short_names_are_torchs_kernels_to_the_bit():
    outputs, vectors, labels = torch.randn(50, 4, 7), torch.randn(50, 7), torch.randint(7, (50, 4))
    mse, entropy = loss_of("mse"), loss_of("cross_entropy")
    assert torch.equal(batch_loss(mse, outputs[:, 0], vectors), F.mse_loss(outputs[:, 0], vectors))
    assert torch.equal(sample_losses(mse, outputs[:, 0], vectors), (outputs[:, 0] - vectors).square().mean(-1))
    for answers, truth in ((outputs, labels), (outputs[:, 0], labels[:, 0])):
        flat = (answers.flatten(0, -2), truth.flatten())
        of_tokens = F.cross_entropy(*flat, reduction="none").view(50, -1)
        assert torch.equal(batch_loss(entropy, answers, truth), F.cross_entropy(*flat))
        assert torch.equal(sample_losses(entropy, answers, truth), of_tokens.mean(1))


def test_label_smoothing_is_torchs():
    outputs, labels = torch.randn(50, 7), torch.randint(7, (50,))
    expected = F.cross_entropy(outputs, labels, reduction="none", label_smoothing=0.2)
    assert torch.equal(sample_losses(CrossEntropy(0.2), outputs, labels), expected)
    smoothed = F.cross_entropy(outputs, labels, label_smoothing=0.2)
    assert torch.equal(batch_loss(CrossEntropy(0.2), outputs, labels), smoothed)


@pytest.mark.parametrize("autocasting", [False, True])
@pytest.mark.parametrize(("bits", "dtype"), [(16, torch.float16), (32, torch.float32), (64, torch.float64)])
def test_the_softmax_has_the_precision_that_is_asked_for(bits, dtype, autocasting):
    outputs, labels = torch.randn(5000, 7, requires_grad=True), torch.randint(7, (5000,))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocasting):
        losses = sample_losses(CrossEntropy(precision=bits), outputs, labels)
        mean = batch_loss(CrossEntropy(precision=bits), 100 * outputs, labels)  # the sum is no number of 16 bits
    log_probabilities = outputs.to(dtype).log_softmax(-1)
    assert torch.equal(losses.to(dtype), -log_probabilities[torch.arange(5000), labels])
    assert losses.dtype == (torch.float64 if bits == 64 else torch.float32)
    assert torch.isfinite(mean)
    mean.backward()
    assert torch.isfinite(outputs.grad).all()


def test_the_gradient_of_stable_max_is_never_lost():
    """Where the softmax has underflowed it is still there, and finite at the places where branches meet."""
    outputs = torch.tensor([[200.0, 0.0, -200.0], [1.0, 0.0, -1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.zeros(3, dtype=torch.long)
    (plain,) = torch.autograd.grad(batch_loss(CrossEntropy(), outputs, labels), outputs)
    (stable,) = torch.autograd.grad(batch_loss(StableMax(), outputs, labels), outputs)
    assert (plain[0] == 0).all()
    assert torch.isfinite(stable).all()
    assert (stable != 0).all()
    exact = outputs.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: StableMax()(x, labels), (exact,))


class Either(Loss):
    """Does not say what it needs."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.abs().sum(-1)


class Summed(Loss):
    """A mistake: one number for all samples."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum()


def test_a_loss_that_states_no_targets_takes_either():
    for class_targets in (None, torch.eye(3)):
        check_targets(Either(), class_targets)
    with pytest.raises(UserError, match="needs vectors, but the data's targets are class numbers: change one or"):
        check_targets(MeanSquaredError(), None)


def test_one_number_for_all_samples_is_refused():
    for ask in (sample_losses, batch_loss):
        with pytest.raises(UserError, match=r"Summed returns shape \[\] for 4 samples"):
            ask(Summed(), torch.randn(4, 3), torch.zeros(4, dtype=torch.long))


@pytest.mark.parametrize(
    ("given", "hint"), [("mes", "did you mean mse"), ("none", "give mse or"), (F.mse_loss, "give")]
)
def test_what_is_no_loss_is_refused(given, hint):
    with pytest.raises(UserError, match=hint):
        loss_of(given)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, math.nan])
def test_label_smoothing_is_a_share(smoothing):
    with pytest.raises(UserError, match="label_smoothing"):
        CrossEntropy(smoothing)


def built(**options) -> GrokkingModule:
    module = GrokkingModule(lambda sizes: MLP(sizes, width=4), **options)
    module.build(Sizes(inputs=5, outputs=3), torch.eye(3) if module.loss.needs == "vectors" else None)
    return module


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_scaled_outputs_are_what_is_trained_and_compared(loss):
    plain, scaled = built(loss=loss), built(loss=loss, output_scale=2.5)
    inputs, labels = torch.randn(40, 5), torch.randint(3, (40,))
    targets = torch.eye(3)[labels] if loss == "mse" else labels
    expected = 2.5 * plain(inputs)
    assert torch.equal(scaled(inputs), expected)
    assert torch.equal(scaled.compute_loss(scaled(inputs), targets), plain.compute_loss(expected, targets))
    losses, correct = scaled.score(scaled(inputs), targets)
    assert torch.equal(losses, plain.score(expected, targets)[0])
    nearest = torch.cdist(expected, torch.eye(3)).argmin(1) if loss == "mse" else plain(inputs).argmax(1)
    assert torch.equal(correct, nearest == labels)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_is_above_0(scale):
    with pytest.raises(UserError, match="output_scale"):
        built(output_scale=scale)
