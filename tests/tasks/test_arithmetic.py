"""Addition, arithmetic modulo p and the polynomial operators, against formulas in plain Python."""

import pytest
import torch

from grokking_pl import tasks
from grokking_pl.errors import UserError


def rows(table):
    return list(zip(table.a.tolist(), table.b.tolist(), table.c.tolist(), strict=True))


def named(table):
    """The samples as names, without reference to any numbering of the result classes."""
    return [(table.symbols[a], table.symbols[b], table.results[c]) for a, b, c in rows(table)]


def commutes(table):
    value = {(a, b): c for a, b, c in rows(table)}
    return all(value.get((b, a)) == c for (a, b), c in value.items())


@pytest.mark.parametrize("p", [2, 3, 10])
def test_addition_draws_unordered_pairs_in_order(p):
    table = tasks.addition(p)
    assert rows(table) == [(i, j, i + j) for i in range(p) for j in range(i, p)]
    assert table.symbols == tuple(str(k) for k in range(p))
    assert table.results == tuple(str(k) for k in range(2 * p - 1))
    assert table.commutative
    assert table.p == p
    assert rows(tasks.addition(p, ordered=True)) == [(i, j, i + j) for i in range(p) for j in range(p)]


ORDERED = {
    "modular_addition": lambda x, y, p: (x + y) % p,
    "modular_subtraction": lambda x, y, p: (x - y) % p,
    "modular_multiplication": lambda x, y, p: (x * y) % p,
    "x2_plus_y2": lambda x, y, p: (x**2 + y**2) % p,
    "x2_plus_xy_plus_y2": lambda x, y, p: (x**2 + x * y + y**2) % p,
    "x2_plus_xy_plus_y2_plus_x": lambda x, y, p: (x**2 + x * y + y**2 + x) % p,
    "x3_plus_xy": lambda x, y, p: (x**3 + x * y) % p,
    "x3_plus_xy2_plus_y": lambda x, y, p: (x**3 + x * y**2 + y) % p,
}


@pytest.mark.parametrize("p", [2, 4, 7, 12])
@pytest.mark.parametrize("name", ORDERED)
def test_operations_modulo_p(name, p):
    table = getattr(tasks, name)(p)
    assert rows(table) == [(x, y, ORDERED[name](x, y, p)) for x in range(p) for y in range(p)]
    assert table.results == table.symbols == tuple(str(k) for k in range(p))
    assert table.commutative == commutes(table)
    assert table.c.dtype == torch.long


@pytest.mark.parametrize("p", [2, 3, 11])
def test_division_undoes_multiplication(p):
    table = tasks.modular_division(p)
    assert [(a, b) for a, b, _ in rows(table)] == [(a, b) for a in range(p) for b in range(1, p)]
    assert all(c * b % p == a for a, b, c in rows(table))
    assert table.num_results == p
    assert not table.commutative


@pytest.mark.parametrize("p", [2, 3, 11])
def test_divide_if_odd_else_subtract(p):
    for x, y, c in rows(tasks.divide_if_odd_else_subtract(p)):
        assert c * y % p == x if y % 2 else c == (x - y) % p


@pytest.mark.parametrize("task", [tasks.modular_addition, tasks.modular_multiplication])
def test_unordered_is_the_half_with_a_up_to_b(task):
    assert rows(task(7, unordered=True)) == [row for row in rows(task(7)) if row[0] <= row[1]]
    assert task(7, unordered=True).commutative


def test_defaults_are_those_of_power_et_al():
    assert tasks.x2_plus_y2().p == 97
    assert len(tasks.divide_if_odd_else_subtract()) == 97**2


EVERY_P = ["addition", "modular_division", "divide_if_odd_else_subtract", *ORDERED]


@pytest.mark.parametrize("name", EVERY_P)
@pytest.mark.parametrize(("p", "message"), [(1, "at least 2"), (0, "at least 2"), (-3, "at least 2"), (2.5, "whole")])
def test_too_few_symbols(name, p, message):
    with pytest.raises(UserError, match=message) as error:
        getattr(tasks, name)(p)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["modular_division", "divide_if_odd_else_subtract"])
def test_division_needs_a_prime(name):
    with pytest.raises(UserError, match=r"p is 9, expected a prime.*7 or 11"):
        getattr(tasks, name)(9)


def test_too_many_symbols_fail_before_the_memory_does():
    with pytest.raises(UserError, match="too many"):
        tasks.modular_addition(10**6)


def test_large_p_in_the_right_order():
    table = tasks.modular_addition(1500)
    sample = torch.randint(len(table), (1000,), generator=torch.Generator().manual_seed(0))
    a, b = sample // 1500, sample % 1500
    assert torch.equal(table.a[sample], a)
    assert torch.equal(table.b[sample], b)
    assert torch.equal(table.c[sample], (a + b) % 1500)


def gcd(a, b):
    return torch.gcd(a, b)


class TestFromOperation:
    def test_classes_are_the_distinct_values(self):
        table = tasks.from_operation(lambda a, b: 10 * (a - b) ** 2 - 3, p=4, name="squares")
        assert table.results == ("-3", "7", "37", "87")
        assert named(table) == [(str(a), str(b), str(10 * (a - b) ** 2 - 3)) for a in range(4) for b in range(4)]
        assert table.commutative
        assert table.name == "squares"

    def test_far_apart_values(self):
        table = tasks.from_operation(lambda a, b: (a - b) * 10**15, p=3)
        assert table.results == tuple(str(k * 10**15) for k in range(-2, 3))
        assert named(table)[1] == ("0", "1", str(-(10**15)))
        assert not table.commutative

    def test_unordered(self):
        table = tasks.from_operation(gcd, p=6, unordered=True)
        assert [(a, b) for a, b, _ in rows(table)] == [(a, b) for a in range(6) for b in range(a, 6)]
        assert table.results == ("0", "1", "2", "3", "4", "5")
        assert table.name == "gcd"

    def test_truth_values(self):
        assert tasks.from_operation(torch.lt, p=3).results == ("0", "1")

    def test_single_value(self):
        table = tasks.from_operation(lambda a, b: a * 0 + 5, p=3)
        assert table.results == ("5",)
        assert set(table.c.tolist()) == {0}

    @pytest.mark.parametrize(
        ("operation", "options", "message"),
        [
            (torch.sub, {"p": 1}, "at least 2"),
            (torch.sub, {"p": 4, "unordered": True}, r"0 ∘ 1 = -1 and 1 ∘ 0 = 1; set unordered to false"),
            (torch.true_divide, {"p": 4}, "returned torch.float32, expected integers"),
            (lambda a, b: (a + b).sum(), {"p": 4}, r"returned shape \(\)"),
            (lambda a, b: 3, {"p": 4}, "returned a int, expected a tensor"),
            (lambda a, b: a.add_(b), {"p": 4}, "in place"),
        ],
    )
    def test_errors(self, operation, options, message):
        with pytest.raises(UserError, match=message):
            tasks.from_operation(operation, **options)


def test_tasks_are_config_values():
    """A config names a task by its dotted path, and its arguments are checked against the signature."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--task", type=tasks.OperationTable)

    def build(name, **init_args):
        config = parser.parse_object({"task": {"class_path": f"grokking_pl.tasks.{name}", "init_args": init_args}})
        return parser.instantiate_classes(config).task

    assert len(build("addition", p=10)) == 55
    assert build("modular_addition", p=5, unordered=True).commutative
    assert build("from_operation", operation="torch.maximum", p=3).results == ("0", "1", "2")
    assert build("finite_group", cayley=[[0, 1], [1, 0]]).p == 2
    assert build("permutation_group", generators=[[1, 2, 0]]).p == 3
    assert build("symmetric_group", n=3).p == 6
    assert build("x3_plus_xy").p == 97
