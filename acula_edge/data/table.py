"""Tables in text form (CSV, TSV) from outside, row by row, within limits."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from acula_edge.limits import MAX_COLUMNS, MAX_LINE_CHARACTERS, MAX_ROWS
from acula_edge.untrusted.texts import TextError, read_lines

Row = dict[str, str]


def read_cells(path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Rows of cells, the header's among them, with the line on which each ends.

    Raises:
        OSError: there is no such file, or it is no regular one.
        ValueError, csv.Error: a line, a row, a cell or the whole is beyond a limit of :mod:`acula_edge.limits`.
    """
    length = 0

    def lines() -> Iterator[str]:
        nonlocal length
        for line in read_lines(path, "utf-8-sig", newline=""):
            length += len(line)
            # A quoted cell may go on over many lines.
            if length > MAX_LINE_CHARACTERS:
                raise TextError(f"a row is longer than {MAX_LINE_CHARACTERS} characters")
            yield line

    table = csv.reader(lines(), delimiter=delimiter)
    for number, cells in enumerate(table):
        length = 0
        if number > MAX_ROWS:
            raise TextError(f"there are more than {MAX_ROWS} rows")
        if len(cells) > MAX_COLUMNS:
            raise TextError(f"line {table.line_num} has more than {MAX_COLUMNS} columns")
        if cells:
            yield table.line_num, cells
