"""Tables and notes of published releases: rows by id, labels that are known, cells that say nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from acula_edge.data.identity import cell_id
from acula_edge.data.table import fold_column, is_nameless, name_cells, split_rows
from acula_edge.errors import ManifestError
from acula_edge.limits import MAX_JSON_BYTES
from acula_edge.untrusted.texts import read_text


def read_table(path: Path, needed: Iterable[str], delimiter: str = ",") -> list[tuple[int, dict[str, str]]]:
    """Rows of a corpus's table with their numbers; the header's is 1, and empty rows are passed by.

    Args:
        needed: columns that must be there, matched without regard to case and blanks; rows have them spelled so.
        delimiter: what separates cells in the release; a copy may have another.

    Raises:
        ManifestError: it cannot be read, lacks columns, or a row breaks off.
    """
    spelling = {fold_column(name): name for name in needed}

    def spell(columns: list[str]) -> list[str]:
        names = ["" if is_nameless(column) else spelling.get(fold_column(column), column) for column in columns]
        if missing := set(needed) - set(names):
            raise ManifestError(f"{path} lacks columns", given=columns, allowed=f"needed as well: {', '.join(missing)}")
        for name in needed:
            if names.count(name) > 1:
                raise ManifestError(f"{path} has the column {name!r} twice", remedy="remove one of them")
        return names

    def fits(columns: list[str]) -> bool:
        return {fold_column(column) for column in columns} >= spelling.keys() and len(columns) > 1

    try:
        rows = list(name_cells(path, split_rows(path, fits, delimiter)[1], spell))
    except (OSError, ValueError, csv.Error) as error:
        raise ManifestError(f"the table {path} cannot be read", given=str(error)) from error
    if not rows:
        spell([])
    return rows[1:]


def read_keyed(
    path: Path, key: str, needed: Iterable[str], what: str, delimiter: str = ","
) -> dict[str, tuple[int, dict[str, str]]]:
    """Number and row of a corpus's table by the id in one of its columns, in the table's order; see :func:`read_table`.

    Args:
        key: the column.
        what: its ids are of, for errors.

    Raises:
        ManifestError: as :func:`read_table`; or a row has no id, or an id two rows.
    """
    found: dict[str, tuple[int, dict[str, str]]] = {}
    listed: dict[str, str] = {}
    for number, row in read_table(path, (key, *needed), delimiter):
        where = f"{path}, row {number}"
        name = cell_id(row[key])
        if not name:
            raise ManifestError(f"{where}: the column {key!r} is empty")
        list_once(listed, name, where, what)
        found[name] = number, row
    return found


def read_cells(path: Path, columns: int, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    """Number, from 1, and cells of each row of a corpus's table without a header; empty rows are passed by.

    Args:
        columns: how many cells every row must have; there may be more.

    Raises:
        ManifestError: it cannot be read, or a row has fewer cells.
    """
    try:
        _, rows = split_rows(path, lambda cells: len(cells) >= columns, delimiter)
        found = [(number, [cell.strip() for cell in cells]) for number, cells in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise ManifestError(f"the table {path} cannot be read", given=str(error)) from error
    for number, cells in found:
        if len(cells) < columns:
            raise ManifestError(f"{path}, row {number}: has {len(cells)} cells, fewer than {columns} cells")
    return found


def read_note(path: Path, what: str = "labels") -> str:
    """The text of a small file beside a recording.

    Args:
        what: it holds, for the error.

    Raises:
        ManifestError: it cannot be read, or is no text.
    """
    try:
        return read_text(path, MAX_JSON_BYTES)
    except (OSError, ValueError) as error:
        raise ManifestError(f"the {what} {path} cannot be read", given=str(error)) from error


def list_once(listed: dict[str, str], name: str, where: str, what: str = "recording") -> None:
    """Note where a name is listed; case does not count.

    Raises:
        ManifestError: it is listed elsewhere too.
    """
    if (first := listed.setdefault(name.casefold(), where)) != where:
        raise ManifestError(f"{where}: the {what} {name} is listed twice", given=f"first in {first}")


def require_label(
    value: str | None, allowed: Mapping[str, Any] | Iterable[str], file: Path, row: int, column: str
) -> Any:
    """The label that a cell's text stands for; texts are matched without regard to case and outer blanks.

    Args:
        allowed: text -> label, or the texts where they are the labels.
        row: number in the file; the header is row 1.

    Raises:
        ManifestError: names file, row and column, not the text, which may be a slipped cell about the person.
    """
    known = allowed if isinstance(allowed, Mapping) else {text: text for text in allowed}
    labels = {text.casefold(): label for text, label in known.items()}
    text = (value or "").strip().casefold()
    if text not in labels:
        raise ManifestError(
            f"{file}, row {row}: the column {column!r} holds no known label",
            given="an empty cell" if not text else "another text",
            allowed=list(known),
            remedy="mend the row; a label that is not known must not be guessed",
        )
    return labels[text]


def clean(value: str | None) -> str | None:
    """A cell of a table; None where it says nothing (empty, or ``nan`` as text)."""
    text = (value or "").strip()
    return None if text.casefold() in {"", "nan", "none", "null", "n/a"} else text


def read_number(text: str | None, highest: float) -> int | float | None:
    """A cell's number from 0 to `highest`, whole where it is (``3``, ``0.25``); None where it holds none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    if not 0 <= number <= highest:
        return None
    return int(number) if number.is_integer() else number


def name_columns(row: Mapping[str, str]) -> dict[str, str | None]:
    """A row's cells (:func:`clean`) by its columns' names (:func:`column_name`)."""
    return {column_name(key): clean(value) for key, value in row.items()}


@lru_cache(maxsize=1024)
def column_name(text: str) -> str:
    """A column's name in lower snake case."""
    words = "".join(c if c.isalnum() else " " for c in text.casefold()).split()
    return "_".join(words)
