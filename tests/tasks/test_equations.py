"""The equations of Power et al., each operator against a formula of its own in plain Python."""

from itertools import permutations, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.tasks import OPERATORS, equations
from grokking_pl.tasks.equations import SHORT_NAMES, vocabulary

P = 97
RESIDUES = range(P)


def quotient(a, b):
    """a / b by trying all."""
    return next(c for c in RESIDUES if b * c % P == a % P)


QUOTIENTS = {(b * c % P, b): c for b in range(1, P) for c in RESIDUES}
MODULAR = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "**2+": lambda a, b: a**2 + b,
    "**3+": lambda a, b: a**3 + b,
    "x**2+y**2_mod_97": lambda a, b: a**2 + b**2,
    "x**2+y**2+x*y_mod_97": lambda a, b: a**2 + b**2 + a * b,
    "x**2+y**2+x*y+x_mod_97": lambda a, b: a**2 + b**2 + a * b + a,
    "x**3+x*y_mod_97": lambda a, b: a**3 + a * b,
    "x**3+x*y**2+y_mod_97": lambda a, b: a**3 + a * b**2 + b,
    "(x._value//y)if(y._value%2==1)else(x-y)_mod_97": lambda a, b: QUOTIENTS[a, b] if b % 2 else a - b,
    "+*": lambda a, b: a * b if a % 2 else a + b,
    "+-": lambda a, b: a - b if a % 2 else a + b,
}


def then(a, b):
    return tuple(b[k] for k in a)


def inverse(a):
    return tuple(a.index(k) for k in range(5))


GROUPS = {
    "s5": then,
    "s5conj": lambda a, b: then(then(a, b), inverse(a)),
    "s5aba": lambda a, b: then(then(a, b), a),
}


def texts(found):
    words = found.vocabulary
    return [" ".join(words[token] for token in row) for row in found.tokens.tolist()]


@pytest.mark.parametrize("operator", MODULAR)
def test_modular(operator):
    expected = [
        f"<|eos|> {a} {operator} {b} = {MODULAR[operator](a, b) % P} <|eos|>" for a, b in product(RESIDUES, RESIDUES)
    ]
    assert texts(equations(operator)) == expected


def test_division():
    """In the published order: all quotients with all divisors."""
    expected = [f"<|eos|> {b * c % P} / {b} = {c} <|eos|>" for c, b in product(RESIDUES, range(1, P))]
    found = equations("/")
    assert texts(found) == expected
    assert quotient(5, 7) == QUOTIENTS[5, 7]
    assert all(int(b) != 0 for b in found.table.b)


@pytest.mark.parametrize("operator", GROUPS)
def test_permutations(operator):
    elements = list(permutations(range(5)))
    name = {element: "".join(map(str, element)) for element in elements}
    expected = [
        f"<|eos|> {name[a]} {operator} {name[b]} = {name[GROUPS[operator](a, b)]} <|eos|>"
        for a, b in product(elements, elements)
    ]
    assert texts(equations(operator)) == expected


@pytest.mark.parametrize(("operator", "function"), [("sort", sorted), ("reverse", lambda x: x[::-1]), ("copy", list)])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_lists(operator, function, length):
    expected = [
        f"<|eos|> {operator} {' '.join(map(str, x))} = {' '.join(map(str, function(x)))} <|eos|>"
        for x in permutations(range(6), length)
    ]
    found = equations(operator, modulus=6, operand_length=length)
    assert texts(found) == expected
    assert found.answers == length + 1
    assert found.table is None


@given(
    modulus=st.integers(2, 12),
    length=st.integers(1, 6),
    count=st.integers(2, 200),
    seed=st.integers(0, 100),
)
@settings(max_examples=40, deadline=None)
def test_random_lists_are_distinct_lists_of_distinct_numbers(modulus, length, count, seed):
    every = len(list(permutations(range(modulus), length)))
    if every < count or every == 0:
        with pytest.raises(UserError):
            equations("copy", modulus, length, count, seed)
        return
    found = equations("copy", modulus, length, count, seed)
    lists = {tuple(row) for row in found.tokens[:, 2 : 2 + length].tolist()}
    assert len(found) == len(lists) == count
    assert all(len(set(each)) == length for each in lists)
    again = equations("copy", modulus, length, count, seed)
    assert torch.equal(found.tokens, again.tokens)


def test_random_lists_of_many():
    found = equations("sort", operand_length=20, operand_count=3000, seed=1)
    assert len({tuple(row) for row in found.tokens.tolist()}) == 3000
    assert not torch.equal(found.tokens, equations("sort", operand_length=20, operand_count=3000, seed=2).tokens)


def test_vocabulary():
    words = vocabulary()
    assert len(words) == len(set(words)) == 239
    assert words[:2] == ("<|eos|>", "=")
    assert list(words[2:22]) == sorted(OPERATORS)
    assert words[22:119] == tuple(map(str, range(97)))
    assert words[119] == "01234"
    assert words[-1] == "43210"
    assert len(OPERATORS) == 20


@pytest.mark.parametrize("operator", ["+", "s5", "sort"])
def test_symbols_have_the_tokens_that_the_table_numbers(operator):
    found = equations(operator, operand_length=2 if operator == "sort" else None)
    end = found.first_symbol + len(found.symbols)
    assert found.vocabulary[found.first_symbol : end] == found.symbols
    if found.table is not None:
        assert torch.equal(found.tokens[:, 1], found.table.a + found.first_symbol)
        assert torch.equal(found.tokens[:, 5], found.table.c + found.first_symbol)


def test_other_names():
    for short, published in SHORT_NAMES.items():
        assert equations(short).operator == published
    assert equations("x**3+x*y").operator == "x**3+x*y_mod_97"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operator": "**"}, "unknown operator"),
        ({"operator": "+", "operand_length": 3}, "takes two operands"),
        ({"operator": "sort"}, "operand_length is None"),
        ({"operator": "sort", "operand_length": 98}, "operand_length is 98"),
        ({"operator": "sort", "operand_length": 2, "operand_count": 9313}, "there are 9312 lists"),
        ({"operator": "copy", "operand_length": 5}, "too many for memory"),
        ({"operator": "/", "modulus": 96}, "prime"),
        ({"operator": "+", "modulus": 1}, "at least 2"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(UserError, match=message):
        equations(**options)
