"""Tables from outside, row by row and within limits: texts with separators as spreadsheets and pandas write them.

Python's own :mod:`csv` reads them. pandas would fill a row that breaks off with empty cells, and say nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from acula_edge.errors import ManifestError
from acula_edge.limits import MAX_COLUMNS, MAX_LINE_CHARACTERS, MAX_ROWS
from acula_edge.untrusted.texts import TextError, read_lines

Cells = Sequence[Any]
_DELIMITERS = (",", ";", "\t", "|")
_NOTE = re.compile(r'"?sep=(?P<delimiter>.)"?\s*', re.IGNORECASE)
# What pandas calls the index of a frame that has no name: in Parquet, and in a CSV that it read and wrote again.
_NAMELESS = re.compile(r"__index_level_\d+__|Unnamed: \d+(\.\d+)?")


def split_rows(
    path: Path, fits: Callable[[list[str]], bool], delimiter: str = ","
) -> tuple[str, Iterator[tuple[int, Cells]]]:
    """The separator of a text, and its rows, the header's among them, without those that are wholly empty.

    Every row has its number, as a spreadsheet counts: the first is 1.

    Args:
        fits: whether these are the cells of a right first row. It decides between the separators, and between double
            and single quotes.
        delimiter: what separates cells where no first row fits. A line ``sep=;``, which Excel writes, decides.

    Raises:
        OSError: there is no such file, or it is no regular one.
        ValueError, csv.Error: a line, a row, a cell or the whole is beyond a limit of :mod:`acula_edge.limits`.
    """
    lines = read_lines(path, newline="")
    blank, head = 0, next(lines, "")
    while head and not head.strip():
        blank, head = blank + 1, next(lines, "")
    candidates = [(d, q) for q in ('"', "'") for d in (delimiter, *_DELIMITERS)]
    if note := _NOTE.fullmatch(head):
        candidates, head = [(note["delimiter"], '"')], next(lines, "")
    chosen = candidates[0]
    for separator, quote in candidates:
        if fits([cell.strip() for cell in next(_reader([head], separator, quote), [])]):
            chosen = separator, quote
            break
    return chosen[0], _split(chain(blank * ["\n"], [head], lines), *chosen)


def _split(lines: Iterable[str], delimiter: str, quote: str) -> Iterator[tuple[int, Cells]]:
    length = 0

    def counted() -> Iterator[str]:
        nonlocal length
        for line in lines:
            length += len(line)
            # A quoted cell may go on over many lines.
            if length > MAX_LINE_CHARACTERS:
                raise TextError(f"a row is longer than {MAX_LINE_CHARACTERS} characters")
            yield line

    for number, cells in enumerate(_reader(counted(), delimiter, quote), start=1):
        length = 0
        if number > MAX_ROWS + 1:
            raise TextError(f"there are more than {MAX_ROWS} rows")
        if len(cells) > MAX_COLUMNS:
            raise TextError(f"row {number} has more than {MAX_COLUMNS} columns")
        if not all(map(is_empty, cells)):
            yield number, cells


def _reader(lines: Iterable[str], delimiter: str, quote: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, quotechar=quote, skipinitialspace=True)  # "a", "b"


def name_cells(
    path: Path, rows: Iterable[tuple[int, Cells]], spell: Callable[[list[str]], list[str]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows by the names of their columns; the first row, which holds the names, comes as well, each name under itself.

    Args:
        path: of the table, for messages.
        spell: what the columns are to be called; those that become "" are left out.

    Raises:
        ManifestError: a row has another number of cells than the first, beyond columns without a name.
    """
    named: dict[str, int] = {}
    width = least = 0
    for number, cells in rows:
        if not width:
            width = len(cells)
            names = spell(["" if cell is None else str(cell).strip() for cell in cells])
            named = {name: place for place, name in enumerate(names) if name}
            least = max(named.values(), default=-1) + 1
            yield number, {name: name for name in named}
        elif len(cells) < least or not all(map(is_empty, cells[width:])):
            raise ManifestError(f"{path}, row {number}: has another number of cells than the header")
        else:
            yield number, {name: cells[place] for name, place in named.items()}


def fold_column(name: str) -> str:
    """A column's name without what does not count: case, and blanks of all kinds around and between its words."""
    return " ".join(name.replace("\u200b", " ").casefold().split())


def is_empty(cell: Any) -> bool:
    """Whether a cell holds nothing, or blanks only."""
    return cell is None or (isinstance(cell, str) and (not cell or cell.isspace()))


def is_nameless(column: str) -> bool:
    """Whether a column's name says nothing, as that of a pandas index."""
    return not column or _NAMELESS.fullmatch(column) is not None
