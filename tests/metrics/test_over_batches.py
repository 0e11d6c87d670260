"""Metrics that accumulate: batch by batch, and over two processes, what the functions say of all samples at once."""

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.metrics import (
    ClassEffectiveLoss,
    ExcludedLoss,
    GroupExcludedLoss,
    GroupRestrictedLoss,
    LogitMargin,
    RestrictedLoss,
    ZeroLossShare,
    class_effective_loss,
    excluded_loss,
    group_excluded_loss,
    group_restricted_loss,
    logit_margins,
    restricted_loss,
    zero_loss_share,
)
from grokking_pl.tasks import symmetric_group
from tests.conftest import ROOT

P, OUTPUTS, CLASSES = 6, 7, 3
S3 = symmetric_group(3)
PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))


def drawn():
    """Pairs in another order, their logits, classes, losses of which some are 0, vectors, and some of the pairs."""
    draws = torch.Generator().manual_seed(0)
    pairs = PAIRS[torch.randperm(P * P, generator=draws)]
    logits = torch.randn(P * P, OUTPUTS, generator=draws)
    classes = torch.randint(CLASSES, (P * P,), generator=draws)
    losses = F.relu(torch.randn(P * P, generator=draws))
    vectors = torch.randn(P * P, 2, generator=draws) + 10
    return pairs, logits, classes, losses, vectors, torch.rand(P, P, generator=draws) < 0.5


def metrics():
    """By name, a metric and what it takes of `drawn`."""
    samples = drawn()[-1]
    return {
        "mean": (LogitMargin(), (1, 2)),
        "least": (LogitMargin("least"), (1, 2)),
        "zeros": (ZeroLossShare(), (3,)),
        "classes": (ClassEffectiveLoss(CLASSES, 2), (4, 2)),
        "restricted": (RestrictedLoss(P, [1, 3], OUTPUTS), (0, 1)),
        "excluded": (ExcludedLoss(P, [2], OUTPUTS, samples), (0, 1)),
        "group_restricted": (GroupRestrictedLoss(S3, [2], OUTPUTS, samples), (0, 1)),
        "group_excluded": (GroupExcludedLoss(S3, [1, 2], OUTPUTS), (0, 1)),
    }


def expected():
    """The same by the functions, of all at once."""
    pairs, logits, classes, losses, vectors, samples = drawn()
    over_pairs = torch.empty(P, P, OUTPUTS)
    over_pairs[pairs[:, 0], pairs[:, 1]] = logits
    return {
        "mean": logit_margins(logits, classes).mean(),
        "least": logit_margins(logits, classes).min(),
        "zeros": zero_loss_share(losses),
        "classes": class_effective_loss(vectors, classes),
        "restricted": restricted_loss(over_pairs, [1, 3]),
        "excluded": excluded_loss(over_pairs, [2], samples),
        "group_restricted": group_restricted_loss(over_pairs, S3, [2], samples),
        "group_excluded": group_excluded_loss(over_pairs, S3, [1, 2]),
    }


@pytest.mark.parametrize("name", metrics())
@pytest.mark.parametrize("size", [1, 10, 36])
def test_batch_by_batch(name, size):
    metric, arguments = metrics()[name]
    values, wanted = drawn(), pytest.approx(float(expected()[name]), rel=1e-5)
    for start in range(0, P * P, size):
        metric(*(values[number][start : start + size] for number in arguments))  # forward keeps what went before
    assert float(metric.compute()) == wanted
    for copied in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert float(copied.compute()) == wanted
    metric.reset()
    for start in range(0, P * P, size):
        metric.update(*(values[number][start : start + size] for number in arguments))
    assert float(metric.compute()) == wanted


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
@pytest.mark.parametrize("name", metrics())
def test_nothing_seen(name):
    assert metrics()[name][0].compute().isnan()


def test_a_pair_that_is_missing_or_comes_twice():
    pairs, logits, *_ = drawn()
    metric = RestrictedLoss(P, [1, 3], OUTPUTS)
    metric.update(pairs[:-1], logits[:-1])
    assert metric.compute().isnan()
    metric.update(pairs[-2:], logits[-2:])
    assert float(metric.compute()) == pytest.approx(float(expected()["restricted"]), rel=1e-5)


PROGRAM = """
import json, os, sys, torch.distributed as dist
from tests.metrics.test_over_batches import P, drawn, metrics

rank = int(os.environ["RANK"])
dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=rank, world_size=2)
found, values = {}, drawn()
for name, (metric, arguments) in metrics().items():
    shares = [values[number][rank::2] for number in arguments]
    for start in range(0, P * P // 2, 5):
        metric.update(*(share[start : start + 5] for share in shares))
    found[name] = float(metric.compute())
print(json.dumps(found))
dist.barrier()
"""


def test_two_processes(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "store")], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]  # fmt: skip
    wanted = {name: pytest.approx(float(value), rel=1e-5) for name, value in expected().items()}
    for process in processes:
        assert json.loads(process.communicate(timeout=600)[0]) == wanted
        assert process.returncode == 0


def test_mistakes():
    with pytest.raises(UserError, match="reduction is 'most'; it must be mean or least"):
        LogitMargin("most")
    with pytest.raises(UserError, match="give distinct ones from 1 to 3, for p = 6"):
        RestrictedLoss(P, [4])
    with pytest.raises(UserError, match="irreps are"):
        GroupExcludedLoss(S3, [0])
    with pytest.raises(UserError, match="there are 7 logits for each pair, expected 6"):
        RestrictedLoss(P, [1]).update(PAIRS, torch.zeros(36, 7))
    with pytest.raises(UserError, match="symbols run from 0 to 6, expected 0 to 5"):
        RestrictedLoss(P, [1]).update(torch.tensor([[0, 6]]), torch.zeros(1, 6))
    with pytest.raises(UserError, match="nan"):
        ClassEffectiveLoss(2, 1).update(torch.full((1, 1), torch.nan), torch.tensor([0]))
