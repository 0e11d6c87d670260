"""Equations split and shuffled as in the published program."""

import math

import numpy as np
import pytest
import torch

from grokking_pl.data import EquationDataModule
from grokking_pl.errors import UserError


def prepared(**options):
    data = EquationDataModule(**options)
    data.setup()
    return data


def published(operator, modulus, noise, seed=0):
    """The published program's list of texts: shuffled, with wrong answers from the first on."""
    function = {"-": lambda a, b: a - b, "+": lambda a, b: a + b}[operator]
    texts = [f"{a} {operator} {b} = {function(a, b) % modulus}" for a in range(modulus) for b in range(modulus)]
    draws = np.random.RandomState(seed=seed)
    draws.shuffle(texts)
    if noise:
        answers = [text.split(" = ")[1] for text in draws.choice(texts, size=noise)]
        texts[:noise] = [f"{texts[k].split(' = ')[0]} = {answers[k]}" for k in range(noise)]
    return [f"<|eos|> {text} <|eos|>" for text in texts]


@pytest.mark.parametrize(
    ("operator", "modulus", "noise", "seed"), [("-", 97, 0, 0), ("+", 11, 0, 4), ("-", 97, 300, 0)]
)
def test_same_rows_as_published(operator, modulus, noise, seed):
    data = prepared(operator=operator, modulus=modulus, label_noise=noise, split_seed=seed, train_percent=30)
    words = data.equations.vocabulary
    rows = torch.cat([data.inputs, data.targets[:, -1:]], 1)
    texts = [" ".join(words[token] for token in row) for row in rows.tolist()]
    assert texts == published(operator, modulus, noise, seed)
    assert torch.equal(data.inputs[:, -1], data.targets[:, 0])
    assert data.num_train == round(0.3 * modulus**2)


def test_targets_are_the_tokens_after_equals():
    data = prepared(operator="reverse", operand_length=3, modulus=8)
    equals = data.equations.vocabulary.index("=")
    assert data.inputs.shape == (8 * 7 * 6, 2 + 3 + 1 + 3)
    assert (data.inputs[:, 5] == equals).all()
    assert torch.equal(data.targets[:, :3], data.inputs[:, 2:5].flip(1))
    assert (data.targets[:, 3] == 0).all()
    assert (data.sizes.answers, data.sizes.inputs, data.sizes.symbols) == (4, 9, 8)
    assert not hasattr(data, "table")


def test_split_is_that_of_the_table():
    data = prepared(operator="/", modulus=13, train_percent=40)
    chosen = data.train_indices
    first = data.sizes.first_symbol
    assert torch.equal(data.train_set[0][:, 1] - first, data.table.a[chosen])
    assert torch.equal(data.train_set[0][:, 3] - first, data.table.b[chosen])
    assert torch.equal(data.train_set[1][:, 0] - first, data.table.c[chosen])


def test_split_seed():
    assert torch.equal(prepared(modulus=7).inputs, prepared(modulus=7, split_seed=0).inputs)
    seeded = EquationDataModule(modulus=7, split_seed=None)
    seeded.run_seed = 7
    seeded.setup()
    assert torch.equal(seeded.inputs, prepared(modulus=7, split_seed=7).inputs)
    assert not torch.equal(prepared(modulus=7).inputs, prepared(modulus=7, split_seed=7).inputs)


@pytest.mark.parametrize(
    ("rule", "percent", "expected"),
    [
        ("auto", 50, 512),
        ("auto", 5, math.ceil(470 / 2)),
        ("all", 50, 4704),
        (0.25, 50, 1176),
        (0.3, 5, 141),
        (100, 50, 100),
        (10_000, 50, 4704),
    ],
)
def test_batch_rule(rule, percent, expected):
    data = prepared(operator="+", batch_size=rule, train_percent=percent)
    assert data.num_train == round(9409 * percent / 100)
    assert data.batch_size == expected
    assert len(next(iter(data.train_dataloader()))[0]) == expected


def test_a_pass_takes_every_equation_once():
    data = prepared(operator="+", modulus=9, batch_size="auto", train_percent=50)
    batches = iter(data.train_dataloader())
    seen = torch.cat([next(batches)[0] for _ in range(math.ceil(data.num_train / data.batch_size))])
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, data.train_set[0].tolist()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_percent": 0}, "train_percent is 0"),
        ({"train_percent": 100}, "train_percent is 100"),
        ({"train_percent": 0.001, "modulus": 5}, "leaves 0"),
        ({"batch_size": "half"}, "batch_size is 'half'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"label_noise": -1}, "label_noise is -1"),
        ({"label_noise": 26, "modulus": 5}, "label_noise is 26"),
        ({"operator": "x"}, "unknown operator 'x'"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(UserError, match=message):
        EquationDataModule(**options)
