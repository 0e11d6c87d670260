"""Groups: products against plain Python, the axioms, and errors that say which axiom fails."""

from itertools import permutations, product

import pytest
import torch
from sympy.combinatorics import Permutation, named_groups
from sympy.combinatorics import PermutationGroup as SympyGroup

from grokking_pl import tasks
from grokking_pl.errors import UserError


def square(table):
    return table.c.view(table.p, table.p).tolist()


def then(a, b):
    """The permutation k -> b[a[k]]."""
    return tuple(b[k] for k in a)


def inverse(a):
    return tuple(a.index(k) for k in range(len(a)))


OPERATIONS = {
    tasks.symmetric_group: lambda x, y: then(x, y),
    tasks.symmetric_group_conjugation: lambda x, y: then(then(x, y), inverse(x)),
    tasks.symmetric_group_xyx: lambda x, y: then(then(x, y), x),
}


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("task", OPERATIONS)
def test_symmetric_group_operations(task, n):
    table = task(n)
    elements = list(permutations(range(n)))
    names = ["".join(map(str, element)) for element in elements]
    assert list(table.symbols) == list(table.results) == names
    expected = [names[elements.index(OPERATIONS[task](x, y))] for x, y in product(elements, elements)]
    assert [table.results[c] for c in table.c] == expected
    assert list(zip(table.a.tolist(), table.b.tolist(), strict=True)) == list(product(range(len(names)), repeat=2))
    rows = square(table)
    assert table.commutative == all(rows[a][b] == rows[b][a] for a in range(table.p) for b in range(table.p))


def test_published_s3():
    table = tasks.symmetric_group(3)
    assert len(table) == 36
    assert table.symbols == ("012", "021", "102", "120", "201", "210")
    assert not table.commutative
    assert tasks.symmetric_group(2).commutative


def test_group_axioms_of_s4():
    table = tasks.symmetric_group(4)
    again = tasks.finite_group(square(table), list(table.symbols), name="S4")
    assert torch.equal(again.c, table.c)
    assert again.symbols == table.symbols


@pytest.mark.parametrize("task", OPERATIONS)
@pytest.mark.parametrize("n", [1, 8, 3.0])
def test_degree_out_of_range(task, n):
    with pytest.raises(UserError, match="expected 2 to 7"):
        task(n)


class TestPermutationGroup:
    def test_same_product_as_sympy(self):
        group = named_groups.AlternatingGroup(4)
        table = tasks.permutation_group(group)
        elements = sorted(element.array_form for element in group.elements)
        assert table.symbols == tuple("".join(map(str, element)) for element in elements)
        for (a, b), c in zip(product(elements, elements), table.c.tolist(), strict=True):
            assert (Permutation(a) * Permutation(b)).array_form == elements[c]

    def test_generators_as_lists(self):
        rotations = tasks.permutation_group([[1, 2, 3, 0]], name="rotations")
        assert rotations.symbols == ("0123", "1230", "2301", "3012")
        assert rotations.commutative
        assert rotations.name == "rotations"
        assert torch.equal(
            tasks.permutation_group([[1, 0, 2], [1, 2, 0]]).c,
            tasks.symmetric_group(3).c,
        )

    def test_degree_above_ten_and_large_codes(self):
        cycle = [*range(1, 40), 0]
        table = tasks.permutation_group([cycle])
        assert table.p == 40
        assert table.symbols[1].startswith("1.2.3.")
        assert square(table) == square(tasks.modular_addition(40))

    def test_fixed_points_at_the_start(self):
        assert square(tasks.permutation_group([[0, 1, 3, 2]])) == [[0, 1], [1, 0]]

    @pytest.mark.parametrize(
        ("generators", "message"),
        [
            ([], "no generators"),
            ([[0, 0, 1]], r"\[0, 0, 1\] is not a permutation of 0 .. 2"),
            ([[1, 0], [1, 2, 0]], r"\[1, 2, 0\] is not a permutation of 0 .. 1"),
            ([[0, 1, 2]], "at least 2 symbols"),
            (SympyGroup(named_groups.SymmetricGroup(12)), "too many"),
        ],
    )
    def test_errors(self, generators, message):
        with pytest.raises(UserError, match=message):
            tasks.permutation_group(generators)


KLEIN = [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]


def changed(rows, a, b, c):
    return [[c if (i, j) == (a, b) else entry for j, entry in enumerate(row)] for i, row in enumerate(rows)]


def loop_of_order_five():
    """A loop (identity, inverses, each row and column a permutation) that is no group."""
    return [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]


class TestFiniteGroup:
    def test_klein(self):
        table = tasks.finite_group(KLEIN, ["e", "a", "b", "ab"], name="Klein")
        assert square(table) == KLEIN
        assert table.symbols == table.results == ("e", "a", "b", "ab")
        assert table.commutative

    def test_identity_need_not_come_first(self):
        relabelled = [[(a + b - 2) % 5 for b in range(5)] for a in range(5)]
        assert square(tasks.finite_group(relabelled)) == relabelled

    def test_csv(self, tmp_path):
        path = tmp_path / "klein.csv"
        path.write_text("\n".join(",".join(map(str, row)) for row in KLEIN) + "\n")
        assert square(tasks.finite_group(str(path))) == KLEIN
        assert square(tasks.finite_group(path)) == KLEIN

    def test_tensor_is_copied(self):
        rows = torch.tensor(KLEIN)
        table = tasks.finite_group(rows)
        rows.zero_()
        assert square(table) == KLEIN

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([], "empty"),
            ([[0]], "at least 2"),
            ([[0, 1], [1]], "row 1 of the Cayley table has 1 entries, expected 2"),
            ([[0.0, 1.0], [1.0, 0.0]], "expected integers"),
            ([["e", "a"], ["a", "e"]], "must hold integers"),
            (changed(KLEIN, 2, 1, 4), r"2 × 1 = 4, expected an element 0 .. 3"),
            (changed(KLEIN, 2, 1, -1), r"2 × 1 = -1, expected an element 0 .. 3"),
            ([[0, 0], [0, 0]], "no identity"),
            ([[0, 1], [1, 1]], "1 has no inverse"),
            (loop_of_order_five(), "not associative"),
        ],
    )
    def test_errors(self, rows, message):
        with pytest.raises(UserError, match=message) as error:
            tasks.finite_group(rows)
        assert "\n" not in str(error.value)

    def test_file_errors(self, tmp_path):
        with pytest.raises(UserError, match=r"cannot read.*none\.csv"):
            tasks.finite_group(str(tmp_path / "none.csv"))
        (tmp_path / "names.csv").write_text("e,a\na,b\n")
        with pytest.raises(UserError, match="a ∘ a = b, expected one of e, a"):
            tasks.finite_group(str(tmp_path / "names.csv"))
        with pytest.raises(UserError, match="3 symbol names given, expected 4"):
            tasks.finite_group(KLEIN, ["e", "a", "b"])

    def test_light_test_agrees_with_all_triples(self):
        """Every single change of one entry of a group's table, against the axioms in their plain form."""
        group = square(tasks.symmetric_group(3))
        for a, b, c in product(range(6), repeat=3):
            rows = changed(group, a, b, c)
            associative = all(rows[rows[x][y]][z] == rows[x][rows[y][z]] for x, y, z in product(range(6), repeat=3))
            if rows == group:
                tasks.finite_group(rows)
            else:
                assert not associative  # two group tables differ in more than one entry
                with pytest.raises(UserError, match="not a group"):
                    tasks.finite_group(rows)
