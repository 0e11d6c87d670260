"""Tables from files: every way of writing one gives the same table, and what is no table is answered in one line."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl import tasks
from grokking_pl.errors import UserError

KLEIN = [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
LETTERS = "eabc"


def named(table):
    columns = (table.a.tolist(), table.b.tolist(), table.c.tolist())
    return {(table.symbols[a], table.symbols[b]): table.results[c] for a, b, c in zip(*columns, strict=True)}


def by_hand(names, rows):
    pairs = itertools.product(range(len(names)), repeat=2)
    return {(names[a], names[b]): names[rows[a][b]] for a, b in pairs if rows[a][b] is not None}


def read(folder, text, **options):
    path = folder / "table.csv"
    path.write_text(text)
    return tasks.from_file(path, **options)


def lines(rows, separator=","):
    return "\n".join(separator.join("" if entry is None else str(entry) for entry in row) for row in rows) + "\n"


@st.composite
def operations(draw):
    """Rows of results in 0 .. p - 1, and None where undefined."""
    p = draw(st.integers(2, 6))
    result = st.none() | st.integers(0, p - 1)
    rows = draw(st.lists(st.lists(result, min_size=p, max_size=p), min_size=p, max_size=p))
    rows[0][p - 1] = 0  # or a table could be empty, or count from 1 as well
    rows[p - 1][0] = p - 1
    return rows


@given(rows=operations(), separator=st.sampled_from([",", ";", "\t"]), first=st.integers(0, 1))
def test_numbers(tmp_path_factory, rows, separator, first):
    p = len(rows)
    numbers = [[entry if entry is None else entry + first for entry in row] for row in rows]
    expected = by_hand([str(k + first) for k in range(p)], rows)
    folder = tmp_path_factory.mktemp("numbers")
    text = lines(numbers, separator)
    if numbers[0][0] is not None:  # a blank corner may belong to a header
        assert named(read(folder, text)) == expected
    assert named(read(folder, text, header=False)) == expected
    np.save(folder / "t.npy", np.array([[np.nan if entry is None else entry for entry in row] for row in numbers]))
    table = tasks.from_file(folder / "t.npy", header=False)
    assert named(table) == expected
    assert table.commutative == all(expected.get((b, a), c) == c for (a, b), c in expected.items())


@given(rows=operations(), order=st.randoms(), corner=st.sampled_from(["", "*", "∘"]))
def test_header_in_any_order(tmp_path_factory, rows, order, corner):
    p = len(rows)
    names = list(LETTERS + "xy")[:p]
    columns = order.sample(range(p), p)
    cells = [[None if rows[a][b] is None else names[rows[a][b]] for b in columns] for a in range(p)]
    text = lines([[corner, *(names[b] for b in columns)], *([names[a], *row] for a, row in enumerate(cells))])
    table = read(tmp_path_factory.mktemp("header"), text)
    assert table.symbols == tuple(names)
    assert named(table) == by_hand(names, rows)


ROWS_OF_LETTERS = [[LETTERS[c] for c in row] for row in KLEIN]


@pytest.mark.parametrize(
    "text",
    [
        lines(ROWS_OF_LETTERS),
        lines(ROWS_OF_LETTERS, " "),
        lines([LETTERS, *ROWS_OF_LETTERS]),
        lines([[name, *row] for name, row in zip(LETTERS, ROWS_OF_LETTERS, strict=True)]),
        "\ufeff" + lines(ROWS_OF_LETTERS, " ; "),
        '[["e", "a", "b", "c"], ["a", "e", "c", "b"], ["b", "c", "e", "a"], ["c", "b", "a", "e"]]',
    ],
)
def test_letters(tmp_path, text):
    table = read(tmp_path, text)
    assert table.symbols == table.results == tuple(LETTERS)
    assert named(table) == by_hand(LETTERS, KLEIN)
    assert torch.equal(tasks.finite_group(tmp_path / "table.csv").c, table.c)


def test_as_gap_prints_it(tmp_path):
    table = read(tmp_path, "t := [ [ 1, 2, 3 ],\n  [ 2, 3, 1 ],\n  [ 3, 1, 2 ] ];\n")
    assert table.symbols == ("1", "2", "3")
    assert torch.equal(table.c, tasks.modular_addition(3).c)
    assert tasks.finite_group(tmp_path / "table.csv", symbols=["e", "r", "s"]).symbols == ("e", "r", "s")


def test_order_of_letters_without_identity(tmp_path):
    assert named(read(tmp_path, "b,b\na,b\n", symbols=["a", "b"]))["b", "a"] == "a"
    with pytest.raises(UserError, match="the order of the symbols is unknown; add a header or give symbols"):
        read(tmp_path, "b,b\nb,b\n")


def test_results_that_are_no_symbols(tmp_path):
    table = read(tmp_path, "0,10\n-3,10\n", closed=False)
    assert table.results == ("-3", "0", "10")
    assert named(table) == {("0", "0"): "0", ("0", "1"): "10", ("1", "0"): "-3", ("1", "1"): "10"}


def test_unordered(tmp_path):
    table = read(tmp_path, "0,1,2\n,2,0\n,,1\n", unordered=True)
    assert list(zip(table.a.tolist(), table.b.tolist(), table.c.tolist(), strict=True)) == [
        (0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 1, 2), (1, 2, 0), (2, 2, 1)
    ]  # fmt: skip
    assert table.commutative
    assert named(read(tmp_path, "0,\n1,1\n", unordered=True))["0", "1"] == "1"


def test_decimals_of_other_programs(tmp_path):
    """Whole numbers beside blanks are written with decimals."""
    np.savetxt(tmp_path / "saved.csv", KLEIN)
    assert named(tasks.from_file(tmp_path / "saved.csv")) == by_hand("0123", KLEIN)
    assert named(read(tmp_path, "0.0,1.0\nnan,0.0\n")) == by_hand("01", [[0, 1], [None, 0]])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        (",\n,\n", {}, "is empty"),
        ("[]", {}, "is empty"),
        ("0\n", {}, "at least 2 symbols"),
        ("0,1\n1\n", {}, r"row 2 of .* has 1 entries, expected 2 as in row 1"),
        ("0,1,2\n", {}, "has 1 rows of 3 entries, expected as many rows as entries, apart from a header"),
        ("*,0,1\n0,0,1\n1,1,2\n", {}, r"1 ∘ 1 = 2, expected one of 0, 1|1 ∘ 1 = 2, expected 0 to 1"),
        ("0,1\n1,3\n", {}, r"1 ∘ 1 = 3, expected 0 to 1; for results that are not symbols set closed to false"),
        ("0,1\n1,2\n", {}, r"1 ∘ 1 = 2, expected 0 to 1"),
        ("1,2\n2,1\n", {"first": 0}, r"0 ∘ 1 = 2, expected 0 to 1"),
        ("1,2\n2,1\n", {"first": 2}, "first is 2, expected 0, or 1"),
        ("e,a\na,z\n", {}, "a ∘ a = z, expected one of e, a;"),
        ("0,0.5\n1,0\n", {}, "expected"),
        ("*,a,b\na,a,b\nc,b,a\n", {"header": True}, "the header row and header column of .* name different symbols"),
        ("*,a,a\na,a,a\na,a,a\n", {"header": True}, "expected distinct names, one per symbol"),
        ("a,b\na,b\nb,a\n", {"header": False}, "has 3 rows of 2 entries, expected as many rows as entries$"),
        ("a,b\na,b\nb,a\n", {"symbols": ["a", "b"]}, "set symbols to null"),
        ("0,1\n1,0\n", {"symbols": ["a"]}, "1 symbol names given, expected 2"),
        ("0,1\n0,1\n", {"unordered": True}, r"0 ∘ 1 = 1 and 1 ∘ 0 = 0; set unordered to false"),
        ("[[0, 1], 2]", {}, r"cannot be read \(not a list of lists\)"),
        ("[[0, 1], [1, 0]", {}, "cannot be read .Expecting"),
        ("[" * 9999 + "]" * 9999, {}, "cannot be read"),
    ],
)
def test_errors(tmp_path, text, options, message):
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, text, **options)
    assert "\n" not in str(error.value)


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the table .*none\.csv: .* for a function use from_operation"):
        tasks.from_file(tmp_path / "none.csv")
    with pytest.raises(UserError, match="Is a directory"):
        tasks.from_file(tmp_path)
    for name, content in (("a.npy", b"0,1"), ("b.npy", b""), ("c.csv", b"\xff\xfe\x00")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            tasks.from_file(tmp_path / name)
    np.save(tmp_path / "flat.npy", np.arange(4))
    with pytest.raises(UserError, match=r"int64 of shape \(4,\), expected a square"):
        tasks.from_file(tmp_path / "flat.npy")


def test_the_right_function_is_named(tmp_path):
    path = tmp_path / "maximum.csv"
    path.write_text("0,1\n1,1\n")
    with pytest.raises(UserError, match=r"1 has no inverse.*; for a table that is not a group use from_file"):
        tasks.finite_group(path)
    (tmp_path / "blank.csv").write_text("0,1\n,0\n")
    with pytest.raises(UserError, match=r"not a group: 1 × 0 is blank .*; for a table"):
        tasks.finite_group(tmp_path / "blank.csv")
    with pytest.raises(UserError, match="give functions to from_operation"):
        tasks.finite_group(torch.maximum)
    with pytest.raises(UserError, match="for a function use from_operation"):
        tasks.finite_group("torch.maximum")
    with pytest.raises(UserError, match=r"maximum\.csv, which cannot be imported .*; for files use from_file, for"):
        tasks.from_operation(str(path), p=2)
    with pytest.raises(UserError, match=r"operation is a list, .*; for files use from_file, for group tables"):
        tasks.from_operation(KLEIN, p=4)


def test_from_a_configuration(grok, tmp_path):
    (tmp_path / "table.csv").write_text(lines(KLEIN))
    words = [
        "fit", "--config", "configs/toy_classification.yaml", "--data.task=grokking_pl.tasks.from_file",
        f"--data.task.path={tmp_path}/table.csv", "--data.train_count=12", "--data.batch_size=12",
        "--trainer.max_steps=1", "--trainer.enable_progress_bar=false", "--run_dir", tmp_path / "run",
    ]  # fmt: skip
    status, _, err = grok(*words)
    assert status == 0, err
    (tmp_path / "table.csv").write_text("0,1\n1\n")
    status, _, err = grok(*words, "--run_dir", tmp_path / "other")
    assert status == 2
    assert "row 2 of" in err
    assert len([line for line in err.splitlines() if "error" in line]) == 1
    operation = ["--data.task=grokking_pl.tasks.from_operation", "--data.task.p=4"]
    for value in ("table.csv", f"{tmp_path}/table.csv", "mylab.no_such"):
        status, _, err = grok(*words[:3], *operation, f"--data.task.operation={value}", "--run_dir", tmp_path / "third")
        assert status == 2
        assert "for files use from_file" in err, err
