"""Operation tables from files."""

import csv
import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks.pairs import check_symbols, integer_names, ordered_pairs, unordered_pairs
from grokking_pl.tasks.table import OperationTable

UNDEFINED = -1
DELIMITERS = ",;\t"
WHOLE = re.compile(r"[+-]?\d{1,18}")
BRACKETED = re.compile(r"\s*(?:\w+\s*:=\s*)?(\[.*\])\s*;?\s*", re.DOTALL)


class SquareTable(NamedTuple):
    """The contents of a table file.

    Attributes:
        symbols: name of each symbol.
        results: name of each result class.
        values: row a, column b holds the class of a ∘ b; `UNDEFINED` where the entry is blank.
    """

    symbols: tuple[str, ...]
    results: tuple[str, ...]
    values: Int[Tensor, "p p"]


def from_file(
    path: str | os.PathLike[str],
    header: bool | None = None,
    first: int | None = None,
    symbols: list[str] | None = None,
    closed: bool = True,
    unordered: bool = False,
    name: str | None = None,
) -> OperationTable:
    """Read the table of any operation over p symbols, a group or not, from a file.

    Row a, column b of the file holds a ∘ b, as a number or a name. A blank or nan entry is an undefined result, and the
    pair is left out. Whether the operation commutes is determined from the pairs present in both orders.

    Args:
        path: a NumPy ``.npy`` file; text whose entries are separated by commas, semicolons, tabs or spaces, such as
            CSV; or nested lists ``[[1, 2], [2, 1]]``, as GAP prints them.
        header: whether the first row and column name the symbols. By default they do if there is one row or column more
            than a square needs, or if they agree and the corner is blank or a sign such as ``*``.
        first: number of the first symbol if entries are numbers: 0, or 1 as in GAP. By default 1 if p occurs.
        symbols: names of the symbols, in the order of the rows. Without names and without a header, the order is that
            of the identity's row, or else its column, which must come first.
        closed: whether every result must be one of the symbols. If not, the result classes are the distinct entries.
        unordered: include each pair once (a <= b); the operation must commute. An undefined entry is taken from across
            the diagonal.
        name: name of the operation in figures and messages; by default the name of the file.

    Raises:
        UserError: the file cannot be read, is empty, ragged or not square, an entry is not among the symbols, the
            symbols are not named or not distinct, or ``unordered`` is set for an operation that does not commute.
    """
    name = name or Path(path).stem
    table = read_square(path, name, header, first, symbols, closed)
    values, p = table.values, len(table.symbols)
    there = values != UNDEFINED
    conflict = there & there.T & (values != values.T)
    commutative = not bool(conflict.any())
    if unordered and not commutative:
        i, j = conflict.nonzero()[0].tolist()
        raise UserError(
            f"{name}: unordered pairs need a commutative operation, but {table.symbols[i]} ∘ {table.symbols[j]} = "
            f"{table.results[values[i, j]]} and {table.symbols[j]} ∘ {table.symbols[i]} = "
            f"{table.results[values[j, i]]}; set unordered to false"
        )
    a, b = unordered_pairs(p) if unordered else ordered_pairs(p)
    c = torch.where(there, values, values.T)[a, b] if unordered else values.flatten()
    kept = c != UNDEFINED
    return OperationTable(a[kept], b[kept], c[kept], table.symbols, table.results, commutative, name)


def read_square(
    path: str | os.PathLike[str],
    name: str,
    header: bool | None = None,
    first: int | None = None,
    symbols: Sequence[str] | None = None,
    closed: bool = True,
) -> SquareTable:
    """Read a table file; see `from_file`."""
    if first not in (None, 0, 1):
        raise UserError(f"{name}: first is {first}, expected 0, or 1 for a table that counts from 1")
    cells = _read(Path(path), name)
    for number, row in enumerate(cells, 1):
        if len(row) != len(cells[0]):
            raise UserError(
                f"{name}: row {number} of {path} has {len(row)} entries, expected {len(cells[0])} as in row 1"
            )
    rows, columns, cells = _without_header(cells, header, f"{name}: {path}")
    p = len(cells)
    check_symbols(p, name)
    if columns is not None and rows is not None:
        if sorted(rows) != sorted(columns):
            raise UserError(f"{name}: the header row and header column of {path} name different symbols")
        place = {symbol: column for column, symbol in enumerate(columns)}
        cells = [[row[place[symbol]] for symbol in rows] for row in cells]
    named = rows or columns
    if symbols is not None and named is not None:
        raise UserError(f"{name}: symbols are given, but the header of {path} names them too; set symbols to null")
    return _classes(cells, list(symbols) if symbols is not None else named, first, closed, name)


def _read(path: Path, name: str) -> list[list[str]]:
    """Read the entries as text, blank where undefined."""
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            if array.ndim != 2 or array.dtype.kind not in "biufU":
                raise UserError(
                    f"{name}: {path} holds {array.dtype} of shape {array.shape}, expected a square of numbers or names"
                )
            entries = (array.astype(int) if array.dtype.kind == "b" else array).tolist()
        else:
            entries = _entries(path.read_text(encoding="utf-8-sig"))
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"{name}: cannot read the table {path}: {error.strerror}; give a CSV or .npy file; for a function use "
            "from_operation"
        ) from None
    except (ValueError, EOFError, csv.Error, RecursionError) as error:
        raise UserError(
            f"{name}: {path} cannot be read ({' '.join(str(error).split())}): give the rows of the table as CSV, as "
            "nested lists or as .npy"
        ) from None
    cells = [[_cell(entry) for entry in row] for row in entries]
    if not any(cell for row in cells for cell in row):
        raise UserError(f"{name}: {path} is empty, expected at least 2 rows")
    return cells


def _entries(text: str) -> list[list[object]]:
    bracketed = BRACKETED.fullmatch(text)
    if bracketed:
        entries: list[list[object]] = json.loads(bracketed[1])
        if not all(isinstance(row, list) for row in entries):
            raise ValueError("not a list of lists")
        return entries
    delimiter = next((delimiter for delimiter in DELIMITERS if delimiter in text), None)
    if delimiter is None:
        return [[*line.split()] for line in text.splitlines() if line.strip()]
    return [list(row) for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]


def _cell(entry: object) -> str:
    """Format an entry as text, dropping the .0 that programs add to integers in a column with blanks."""
    text = "" if entry is None else str(entry).strip()
    if text.isdecimal():  # the common case, and the rest is slow
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if number != number:
        return ""
    return text if WHOLE.fullmatch(text) or not number.is_integer() else str(int(number))


def _without_header(
    cells: list[list[str]], header: bool | None, said: str
) -> tuple[list[str] | None, list[str] | None, list[list[str]]]:
    """Split off the names of rows and columns, if there are any, from the entries."""
    excess = len(cells) - len(cells[0])
    if abs(excess) > 1 or (excess and header is False):
        raise UserError(
            f"{said} has {len(cells)} rows of {len(cells[0])} entries, expected as many rows as entries"
            + ("" if header is False else ", apart from a header")
        )
    corner, first_row, first_column = cells[0][0], cells[0][1:], [row[0] for row in cells[1:]]
    if header is None and excess == 0:
        is_sign = not any(letter.isalnum() for letter in corner)
        header = is_sign and _are_names(first_row) and sorted(first_row) == sorted(first_column)
    rows: list[str] | None = None
    columns: list[str] | None = None
    if excess == 1:
        columns, cells = cells[0], cells[1:]
    elif excess == -1:
        rows, cells = [row[0] for row in cells], [row[1:] for row in cells]
    elif header:
        rows, columns, cells = first_column, first_row, [row[1:] for row in cells[1:]]
    for names in (rows, columns):
        if names is not None and not _are_names(names):
            raise UserError(f"{said} has the header {', '.join(names)!r}, expected distinct names, one per symbol")
    return rows, columns, cells


def _are_names(entries: list[str]) -> bool:
    return len({*entries, ""}) == len(entries) + 1


def _classes(
    cells: list[list[str]], symbols: list[str] | None, first: int | None, closed: bool, name: str
) -> SquareTable:
    """Assign numbers to the symbols and results."""
    p = len(cells)
    entries = {cell for row in cells for cell in row if cell}
    numeric = all(WHOLE.fullmatch(entry) for entry in entries)
    if symbols is not None and len({*symbols}) != p:
        raise UserError(f"{name}: {len({*symbols})} symbol names given, expected {p}, one per row")
    if not closed:
        names = sorted(entries, key=int) if numeric else sorted(entries)
        return SquareTable(
            _names(symbols, p, first or 0), tuple(names), _numbers(cells, dict(zip(names, range(p * p), strict=False)))
        )
    if symbols is None and not numeric:
        symbols = next((line for line in (cells[0], [row[0] for row in cells]) if _are_names(line)), None)
        if symbols is None:
            raise UserError(f"{name}: the order of the symbols is unknown; add a header or give symbols")
    if symbols is not None and entries <= {*symbols}:
        place = {symbol: number for number, symbol in enumerate(symbols)}
    elif numeric and (symbols is None or not entries & {*symbols}):
        least = first if first is not None else int(str(p) in entries and "0" not in entries)
        place = {str(number + least): number for number in range(p)}
        symbols = list(_names(symbols, p, least))
    else:
        place = {symbol: number for number, symbol in enumerate(symbols or ())}
    outside = next(((a, b) for a in range(p) for b in range(p) if cells[a][b] and cells[a][b] not in place), None)
    if outside is not None:
        a, b = outside
        assert symbols is not None
        known = [*place]
        raise UserError(
            f"{name}: {symbols[a]} ∘ {symbols[b]} = {cells[a][b]}, expected "
            + (f"{known[0]} to {known[-1]}" if numeric else f"one of {', '.join(known[:10])}{' ...' * (p > 10)}")
            + "; for results that are not symbols set closed to false"
        )
    assert symbols is not None
    return SquareTable(tuple(symbols), tuple(symbols), _numbers(cells, place))


def _names(symbols: Sequence[str] | None, p: int, first: int) -> tuple[str, ...]:
    return tuple(symbols) if symbols is not None else integer_names(p + first)[first:]


def _numbers(cells: list[list[str]], place: dict[str, int]) -> Int[Tensor, "p p"]:
    return torch.tensor([[place.get(cell, UNDEFINED) for cell in row] for row in cells])
