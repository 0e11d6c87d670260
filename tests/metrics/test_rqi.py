"""RQI and predicted accuracy, against explicit pairs of samples in plain Python loops."""

import copy
import pickle
from contextlib import ExitStack
from itertools import combinations
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl import tasks
from grokking_pl.errors import UserError
from grokking_pl.metrics import (
    Criterion,
    PredictedAccuracy,
    Representation,
    RepresentationQualityIndex,
    add,
    combined_vectors,
    matrix_product,
    predicted_accuracy,
    rqi,
    same_result,
)
from tests.shapes import unchecked

TABLES = [
    tasks.addition(2),
    tasks.addition(5),
    tasks.addition(8),
    tasks.modular_addition(4),
    tasks.modular_addition(6, unordered=True),
    tasks.modular_subtraction(5),
    tasks.modular_division(5),
    tasks.symmetric_group(3),
    tasks.from_operation(lambda a, b: a // (b + 1), 5, name="quotient"),
]
CRITERIA = [
    Criterion(),
    Criterion(0.5, "mean_square", "rms"),
    Criterion(0.3, "mean_square", None),
    Criterion(0.0, "euclidean", None),
    Criterion(0.0, "euclidean", "standardise"),
    Criterion(1.0, "euclidean", None),
    Criterion(0.7, "euclidean", "rms"),
]
ROUTES = ("listed", "not listed", "small blocks")


def embeddings_of(seed, p, d, kind):
    generator = torch.Generator().manual_seed(seed)
    if kind == "integers":  # many ties, and distances exactly at thresholds of 1
        return torch.randint(-2, 3, (p, d), generator=generator).float()
    if kind == "line":
        return torch.arange(p)[:, None] * torch.randn(1, d, generator=generator).round() + 1.0
    if kind == "noisy line":
        return torch.arange(p)[:, None] + 0.05 * torch.randn(p, d, generator=generator)
    if kind == "equal":
        return torch.full((p, d), 0.1)
    return torch.randn(p, d, generator=generator)


def equal_pairs(embeddings, combine, table, criterion):
    """All pairs of samples with the same result, and whether their combined vectors are equal; nothing clever."""
    e = criterion.normalise(embeddings.double())
    x = [combine(e[a][None], e[b][None])[0] for a, b in zip(table.a.tolist(), table.b.tolist(), strict=True)]
    pairs = {}
    for s, t in combinations(range(len(table)), 2):
        if table.c[s] == table.c[t]:
            squared = sum((u - v) ** 2 for u, v in zip(x[s].tolist(), x[t].tolist(), strict=True))
            if criterion.norm == "mean_square":
                pairs[s, t] = squared / len(x[s]) < criterion.threshold
            else:
                pairs[s, t] = squared**0.5 <= criterion.threshold
    return pairs


def brute_force_accuracy(pairs, train, samples):
    right = sum(train)
    for s in range(samples):
        if not train[s]:
            partners = [t for t in range(samples) if train[t]]
            right += any(pairs.get((min(s, t), max(s, t)), False) for t in partners)
    return right / samples


def on_route(route):
    """The large tables' way of counting, on small tables."""
    stack = ExitStack()
    if route != "listed":
        stack.enter_context(mock.patch.object(same_result, "LISTED_PAIRS", -1))
    if route == "small blocks":
        stack.enter_context(mock.patch.object(combined_vectors, "BLOCK_ROWS", 2))
        stack.enter_context(mock.patch.object(combined_vectors, "most_entries", return_value=8))
    return stack


@settings(max_examples=150, deadline=None)
@given(
    table=st.sampled_from(TABLES),
    criterion=st.sampled_from(CRITERIA),
    d=st.sampled_from([1, 2, 4]),
    kind=st.sampled_from(["integers", "line", "noisy line", "equal", "random"]),
    product=st.booleans(),
    seed=st.integers(0, 10**6),
    fraction=st.floats(0, 1),
)
def test_against_explicit_pairs(table, criterion, d, kind, product, seed, fraction):
    combine = matrix_product if product and d != 2 else add
    embeddings = embeddings_of(seed, table.p, d, kind)
    train = torch.rand(len(table), generator=torch.Generator().manual_seed(seed)) < fraction
    pairs = equal_pairs(embeddings, combine, table, criterion)
    accuracy = brute_force_accuracy(pairs, train.tolist(), len(table))
    for route in ROUTES:
        with on_route(route):
            representation = Representation(embeddings, combine)
            index = rqi(representation, table, criterion)
            predicted = predicted_accuracy(representation, table, train, criterion)
        assert index.shape == predicted.shape == ()
        assert predicted.item() == pytest.approx(accuracy), route
        if pairs:
            assert index.item() == pytest.approx(sum(pairs.values()) / len(pairs)), route
        else:
            assert index.isnan()


@settings(max_examples=40, deadline=None)
@given(
    table=st.sampled_from(TABLES[1:]),
    criterion=st.sampled_from(CRITERIA),
    d=st.sampled_from([1, 3]),
    route=st.sampled_from(ROUTES),
    seed=st.integers(0, 10**6),
)
def test_a_batch_is_a_loop_over_its_members(table, criterion, d, route, seed):
    kinds = [["integers", "line", "random"], ["noisy line", "equal", "integers"]]
    embeddings = torch.stack(
        [torch.stack([embeddings_of(seed + i, table.p, d, kind) for i, kind in enumerate(row)]) for row in kinds]
    )
    train = torch.rand(2, 3, len(table), generator=torch.Generator().manual_seed(seed)) < 0.4
    with on_route(route):
        batch = Representation(embeddings)
        index = rqi(batch, table, criterion)
        own = predicted_accuracy(batch, table, train, criterion)
        shared = predicted_accuracy(batch, table, train[0, 0], criterion)
        by_row = predicted_accuracy(batch, table, train[0], criterion)  # (3, samples) against a batch of (2, 3)
        for i in range(2):
            for j in range(3):
                single = Representation(embeddings[i, j])
                assert index[i, j] == rqi(single, table, criterion)
                assert own[i, j] == predicted_accuracy(single, table, train[i, j], criterion)
                assert shared[i, j] == predicted_accuracy(single, table, train[0, 0], criterion)
                assert by_row[i, j] == predicted_accuracy(single, table, train[0, j], criterion)


@pytest.mark.parametrize("p", [3, 10])
def test_the_published_set_of_parallelograms(p):
    """The published code counts i + n = j + m with i < j <= m < n, with standardised embeddings."""
    embeddings = torch.arange(p)[:, None] + 0.2 * torch.randn(p, 2, generator=torch.Generator().manual_seed(p))
    e = ((embeddings - embeddings.mean(0)) / embeddings.std(0)).double()
    exist = [
        float((e[i] + e[n] - e[j] - e[m]).square().mean()) < 0.01
        for i in range(p)
        for j in range(i + 1, p)
        for m in range(j, p)
        for n in range(m + 1, p)
        if i + n == j + m
    ]
    value = rqi(Representation(embeddings), tasks.addition(p)).item()
    assert value == pytest.approx(sum(exist) / len(exist))
    assert p == 3 or 0 < sum(exist) < len(exist)


def test_published_permutation_criterion_is_the_default_for_matrices():
    table = tasks.symmetric_group(3)
    permutations = torch.stack([torch.eye(3)[list(map(int, name))] for name in table.symbols])
    exact = Representation(permutations.flatten(1), matrix_product)
    assert rqi(exact, table).item() == 1  # the group's own matrices: every equation holds
    noisy = Representation(torch.randn(6, 9, generator=torch.Generator().manual_seed(0)), matrix_product)
    assert rqi(noisy, table) == rqi(noisy, table, Criterion(0.5, "mean_square", "rms"))
    assert rqi(noisy, table).item() < 0.1


def test_linear_and_random_representations():
    table = tasks.addition(10)
    line = torch.arange(10.0)[:, None] * torch.tensor([0.3, -1.0]) + 5
    assert rqi(Representation(line), table).item() == 1
    noise = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    assert rqi(Representation(noise), table, Criterion(0, "euclidean", None)).item() == 0


def test_single_precision_ties_are_not_invented():
    """0.1 + 0.7 and 0.3 + 0.5 are the same single-precision number, but not the same number."""
    embeddings = torch.tensor([0.1, 0.3, 0.5, 0.7])[:, None]
    assert embeddings[0] + embeddings[3] == embeddings[1] + embeddings[2]
    table = tasks.addition(4)
    delta_0 = Criterion(0, "euclidean", None)
    pairs = equal_pairs(embeddings, add, table, delta_0)
    assert rqi(Representation(embeddings), table, delta_0).item() == pytest.approx(sum(pairs.values()) / len(pairs))
    assert sum(pairs.values()) < len(pairs)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("d", [1, 8])
def test_no_cancellation_near_the_threshold(offset, d):
    """Far from the origin the products of the block method lose all digits of the distance; the result must not."""
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(12, d, dtype=torch.float64, generator=generator).mul(64).round().div(64) + offset
    table = tasks.modular_addition(12)
    x = embeddings[table.a] + embeddings[table.b]
    lengths = (x[:, None] - x).norm(dim=-1)
    threshold = lengths[(table.c[:, None] == table.c) & (lengths > 0)].median().item()  # some pairs exactly there
    distance = Criterion(threshold, "euclidean", None)
    representation = Representation(embeddings)
    train = torch.rand(len(table), generator=generator) < 0.2
    expected = rqi(representation, table, distance), predicted_accuracy(representation, table, train, distance)
    with on_route("not listed"):
        assert rqi(representation, table, distance) == expected[0]
        assert predicted_accuracy(representation, table, train, distance) == expected[1]


def test_user_defined_combination():
    def hyperbola(left, right):
        return torch.cat((left * right, left + right), -1)

    table = tasks.modular_addition(5)
    embeddings = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    criterion = Criterion(1.0, "euclidean", None)
    pairs = equal_pairs(embeddings, hyperbola, table, criterion)
    for route in ROUTES:
        with on_route(route):
            index = rqi(Representation(embeddings, hyperbola), table, criterion)
        assert index.item() == pytest.approx(sum(pairs.values()) / len(pairs))


def test_a_table_without_parallelograms():
    table = tasks.from_operation(lambda a, b: 3 * a + b, 3)
    representation = Representation(torch.randn(2, 3, 1))
    assert rqi(representation, table).isnan().tolist() == [True, True]
    train = torch.tensor([0, 4, 5])
    assert predicted_accuracy(representation, table, train).tolist() == pytest.approx([3 / 9, 3 / 9])


class TestTrainingSet:
    table = tasks.addition(4)
    line = Representation(torch.arange(4.0)[:, None])

    def test_none_and_all(self):
        nothing = torch.zeros(10, dtype=torch.bool)
        assert predicted_accuracy(self.line, self.table, nothing).item() == 0
        assert predicted_accuracy(self.line, self.table, torch.zeros(0, dtype=torch.long)).item() == 0
        assert predicted_accuracy(self.line, self.table, ~nothing).item() == 1

    def test_indices_are_a_mask(self):
        indices = torch.tensor([[7, 1, 4], [0, 9, 2]])
        mask = torch.zeros(2, 10, dtype=torch.bool)
        mask[0, [1, 4, 7]] = mask[1, [0, 2, 9]] = True
        pair = Representation(torch.randn(2, 4, 1))
        assert torch.equal(predicted_accuracy(pair, self.table, indices), predicted_accuracy(pair, self.table, mask))

    @pytest.mark.parametrize(
        ("train", "message"),
        [
            (torch.ones(9, dtype=torch.bool), r"mask has shape \(9,\), expected 10 entries"),
            (torch.tensor([0, 10]), "indices run from 0 to 10, expected 0 to 9"),
            (torch.ones(3, 10, dtype=torch.bool), r"batch shape \(3,\) do not fit"),
        ],
    )
    def test_errors(self, train, message):
        with unchecked(), pytest.raises(UserError, match=message):
            predicted_accuracy(self.line, self.table, train)


def test_errors():
    table = tasks.addition(4)
    with pytest.raises(UserError, match=r"has 5 embeddings, but a \+ b has 4 symbols"):
        rqi(Representation(torch.zeros(5, 1)), table)
    with pytest.raises(UserError, match="nan or infinite"):
        rqi(Representation(torch.full((4, 1), torch.nan)), table)
    with pytest.raises(UserError, match=r"combine returned shape \(1, 10\)"):
        rqi(Representation(torch.zeros(4, 2), lambda left, right: (left * right).sum(-1)), table)
    with pytest.raises(UserError, match="d is 3"):
        rqi(Representation(torch.zeros(4, 3), matrix_product), table)


def test_empty_batch():
    empty = Representation(torch.zeros(0, 4, 2))
    for route in ROUTES:
        with on_route(route):
            assert rqi(empty, tasks.addition(4)).shape == (0,)
            assert predicted_accuracy(empty, tasks.addition(4), torch.tensor([1])).shape == (0,)


class TestMetrics:
    table = tasks.addition(10)
    line = Representation(torch.arange(10.0)[:, None])
    noise = Representation(torch.randn(2, 10, 1, generator=torch.Generator().manual_seed(3)))
    train = torch.arange(0, 55, 2)

    def test_mean_since_the_reset(self):
        metric = RepresentationQualityIndex(self.table)
        metric.update(self.line)
        assert metric.compute().item() == 1
        metric.update(self.noise)
        expected = (1 + rqi(self.noise, self.table).sum().item()) / 3
        assert metric.compute().item() == pytest.approx(expected)
        assert metric(self.line).item() == 1  # forward: this representation alone
        metric.reset()
        metric.update(self.line)
        assert metric.compute().item() == 1

    def test_predicted_accuracy(self):
        criterion = Criterion(0.2, "euclidean", None)
        metric = PredictedAccuracy(self.table, self.train, criterion)
        metric.update(self.noise)
        expected = predicted_accuracy(self.noise, self.table, self.train, criterion).mean()
        assert metric.compute().item() == pytest.approx(expected.item())

    def test_training_set_is_checked_at_once(self):
        with pytest.raises(UserError, match="expected 0 to 54"):
            PredictedAccuracy(self.table, torch.tensor([55]))

    def test_copies(self):
        metric = RepresentationQualityIndex(self.table)
        metric.update(self.line)
        for copied in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
            assert copied.compute().item() == 1

    def test_as_after_a_sum_over_processes(self):
        """Both states are sums, so that the processes' metrics add up to the metric of all."""
        metric = RepresentationQualityIndex(self.table)
        assert set(metric._reductions) == {"total", "count"}
        metric.update(self.line)
        metric.total, metric.count = metric.total * 4, metric.count * 4
        assert metric.compute().item() == 1
